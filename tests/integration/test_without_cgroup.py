"""Where no cgroup can be made the tree is followed from fork to fork: the same results, and health.degraded says so."""

import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

FIXTURES = harness.BUILD / "fixtures"


def fixture(behaviour):
    return FIXTURES / behaviour / f"fixture_{behaviour}_O2_pie"


class WithoutCgroup(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.addCleanup(harness.reap_orphans)
        mounts = " ".join(map(str, harness.cgroup2_mounts()))
        script = f'umount --lazy {mounts} || exit 77; exec "$@"'
        self.prefix = [*harness.privilege(), "unshare", "--mount", "sh", "-c", script, "sh"]

    def run_there(self, command, *options):
        process = subprocess.run([*self.prefix, *harness.wrapped(command, self.folder / "out", *options)],
                                 cwd=self.folder, capture_output=True, text=True, timeout=harness.DEADLINE)
        if process.returncode == harness.SKIP:
            self.skipTest(f"cgroup2 cannot be unmounted: {process.stderr.strip()}")
        outcome = harness.Outcome(process, self.folder / "out")
        self.assertRegex("\n".join(outcome.report()["collector"]["health"]["degraded"]), "followed from fork to fork")
        harness.validate(outcome.report())
        return outcome

    def expect_fixture(self, behaviour):
        """The same crashes as with a cgroup."""
        expected = json.loads((harness.SOURCE / "fixtures" / behaviour / "expected.json").read_text())
        outcome = self.run_there([fixture(behaviour)])
        self.assertEqual(outcome.status, expected["exit_status"], outcome)
        crashes = outcome.report()["crashes"]
        self.assertEqual(len(crashes), len(expected["crashes"]), outcome)
        for crash, wanted in zip(crashes, expected["crashes"]):
            self.assertEqual(crash["crash_info"]["signal"]["name"], wanted["signal"])
            functions = [frame.get("function", "") for frame in harness.flatten(harness.crashed_thread(crash))]
            self.assertEqual([f for f in functions if f in wanted["frames"]], wanted["frames"])
        self.assertEqual(outcome.report()["counts"]["lost"], 0)

    def test_the_command_itself(self):
        self.expect_fixture("null_write")

    def test_threads(self):
        self.expect_fixture("worker_thread")

    def test_a_child(self):
        self.expect_fixture("forked_child")

    def test_a_daemon_that_outlives_the_command(self):
        self.expect_fixture("daemon_grandchild")

    def test_after_exec(self):
        self.expect_fixture("after_exec")

    def test_a_control_stays_silent(self):
        self.expect_fixture("exit_3")

    def test_what_is_left_is_named_and_lives_on(self):
        outcome = self.run_there(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"], "--linger=100ms")
        pid = int(outcome.stdout)
        self.addCleanup(harness.end_process, pid)
        self.assertEqual([left["pid"] for left in outcome.report()["run"]["leftover_processes"]], [pid], outcome)
        self.assertIsNotNone(harness.proc_status(pid))

    def test_what_is_left_can_be_killed(self):
        two = "sleep 1000 >/dev/null 2>&1 & setsid sleep 1000 >/dev/null 2>&1 & echo $!"
        outcome = self.run_there(["sh", "-c", two], "--linger=100ms", "--leftovers=kill")
        self.assertEqual(len(outcome.report()["run"]["leftover_processes"]), 2, outcome)
        harness.reap_orphans()
        self.assertIsNone(harness.proc_status(int(outcome.stdout)))

    def test_nobody_is_waited_for_when_all_have_ended(self):
        outcome = self.run_there(["sh", "-c", "(sleep 0.1) & true"], "--linger=60s")
        self.assertEqual(outcome.report()["run"]["leftover_processes"], [], outcome)

    def test_a_time_out_ends_the_whole_tree(self):
        outcome = self.run_there(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!; wait"], "--timeout=300ms")
        self.assertEqual(outcome.status, 124, outcome)
        harness.reap_orphans()
        self.assertIsNone(harness.proc_status(int(outcome.stdout)))
        self.assertEqual({crash["crash_info"]["kind"] for crash in outcome.report()["crashes"]}, {"hang"}, outcome)


if __name__ == "__main__":
    harness.become_subreaper()
    harness.main()
