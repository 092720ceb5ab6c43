"""What the report says of the process around a crash, against what the process itself wrote down before."""

import datetime
import json
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

PROGRAM = harness.BUILD / "fixtures" / "null_write" / "fixture_null_write_O2_pie"

# Becomes the program after it has written what /proc knows of it. In its own session, with a parent that has ended.
CONFESS = """
import json, os, sys
def field(name, start, at=0):
    for line in open("/proc/self/" + name):
        if line.startswith(start):
            return line[len(start):].strip()
stat = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
facts = {"pid": os.getpid(), "session": os.getsid(0), "uid": os.getuid(), "gid": os.getgid(),
         "cgroup": field("cgroup", "0::"), "mount_namespace": os.stat("/proc/self/ns/mnt").st_ino,
         "start_ticks": int(stat[19]), "NSpid": field("status", "NSpid:").split(), "directory": os.getcwd()}
json.dump(facts, open(sys.argv[1], "w"))
os.execv(sys.argv[2], sys.argv[2:])
"""


class ProcessAround(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.facts_file = self.folder / "facts.json"
        self.confess = ["/usr/bin/python3", "-c", CONFESS, str(self.facts_file), str(PROGRAM), "first", "second"]

    def crash_of(self, command):
        outcome = harness.run(command, self.folder)
        crashes = outcome.report()["crashes"]
        self.assertEqual(len(crashes), 1, outcome)
        harness.validate(outcome.report())
        return crashes[0]["process"], json.loads(self.facts_file.read_text())

    def assert_same(self, process, facts):
        for name in ("session", "uid", "gid", "mount_namespace"):
            # a session led from outside of our pid namespace is 0 for getsid(2), and left out by us
            self.assertEqual(process.get(name, 0), facts[name], name)
        self.assertEqual(process["effective_uid"], facts["uid"])
        self.assertEqual(process["command_args"], [str(PROGRAM), "first", "second"])
        self.assertEqual(process["working_directory"], facts["directory"])
        self.assertTrue(process["cgroup"].endswith(facts["cgroup"]), (process["cgroup"], facts["cgroup"]))
        boot = datetime.datetime.now(datetime.timezone.utc).timestamp() - float(
            pathlib.Path("/proc/uptime").read_text().split()[0])
        started = datetime.datetime.fromisoformat(process["start_time"]).timestamp()
        self.assertAlmostEqual(started, boot + facts["start_ticks"] / os.sysconf("SC_CLK_TCK"), delta=1)

    def test_in_a_session_of_its_own(self):
        process, facts = self.crash_of(["setsid", "--wait", *self.confess])
        self.assert_same(process, facts)
        self.assertEqual(process["session"], process["pid"])
        self.assertEqual(process["pid"], facts["pid"])

    def test_an_orphan_keeps_its_parents(self):
        done = self.folder / "done"
        # the shell between starts it and ends; the outer one waits for the crash, which closes the pipe
        command = 'sh -c \'"$@" & exit\' inner "$@" | cat; touch ' + str(done)
        process, facts = self.crash_of(["sh", "-c", command, "outer", *self.confess])
        self.assert_same(process, facts)
        lines = [" ".join(ancestor.get("command_args", [])) for ancestor in process["ancestors"]]
        self.assertTrue(any(" inner " in line for line in lines), lines)
        self.assertTrue(any(" outer " in line for line in lines), lines)

    def test_in_a_pid_namespace(self):
        reason = None if os.geteuid() == 0 else "a pid namespace needs root"
        if reason:
            self.skipTest(reason)
        process, facts = self.crash_of(["unshare", "--pid", "--fork", "--mount-proc", *self.confess])
        self.assertEqual(facts["pid"], 1)
        self.assertEqual(process["container_pid"], 1)
        self.assertGreater(process["pid"], 1)
        self.assertEqual(process["mount_namespace"], facts["mount_namespace"])


if __name__ == "__main__":
    harness.main()
