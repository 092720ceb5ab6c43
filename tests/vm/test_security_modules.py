"""Security modules whose settings are the machine's. Yama (Documentation/admin-guide/LSM/Yama.rst): capture by ptrace(2) where only
descendants may be traced, and what is said, and mends it, where nobody may be without CAP_SYS_PTRACE. Lockdown
(kernel_lockdown(7)), which cannot be taken back.

    test_security_modules.py KERNEL NULL_WRITE      starts the machine
    test_security_modules.py inside NULL_WRITE      is what runs in it
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import machine

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

KERNEL, CRASHING = sys.argv[1:]
SETTING = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
NOBODY = 65534
SEGMENTATION_FAULT = 128 + 11
SECONDS = 300


class Lockdown(unittest.TestCase):
    def test_crashes_are_captured_at_each_level(self):
        setting = pathlib.Path("/sys/kernel/security/lockdown")
        if not setting.exists():
            self.skipTest("this kernel has no lockdown")
        for level, backend in (("integrity", "bpf"), ("confidentiality", "ptrace")):
            setting.write_text(level)
            folder = self.enterContext(harness.TemporaryFolder())
            done = subprocess.run(harness.wrapped([CRASHING], folder / "out", collector="auto"), capture_output=True, text=True)
            self.assertEqual(done.returncode, SEGMENTATION_FAULT, done)
            self.assertEqual(json.loads((folder / "out" / "report.json").read_text())["collector"]["backend"], backend)
            self.assertEqual("locked down for confidentiality" in done.stderr, backend == "ptrace", done)
            said = subprocess.run([os.environ["CRASHCRAWLER_TEST_CRASHCRAWLER"], "doctor", "--json"], cwd=folder, capture_output=True, text=True)
            self.assertEqual(json.loads(said.stdout)["capture"], backend)


class Yama(unittest.TestCase):
    def setUp(self):
        if not SETTING.exists():
            self.skipTest("this kernel has no Yama")
        before = SETTING.read_text()
        self.addCleanup(lambda: SETTING.write_text(before))
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.run_program = harness.installed_copy(self.folder)
        self.doctor_program = shutil.copy(os.environ["CRASHCRAWLER_TEST_CRASHCRAWLER"], self.folder)
        self.crashing = shutil.copy(CRASHING, self.folder)
        self.place = self.folder / "place"
        self.place.mkdir()
        os.chown(self.place, NOBODY, NOBODY)

    def as_nobody(self, *command):
        return subprocess.run(list(map(str, command)), cwd=self.place, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True,
                              text=True)

    def crash(self):
        return self.as_nobody(self.run_program, "--collector=ptrace", "--", self.crashing)

    def doctor(self):
        done = self.as_nobody(self.doctor_program, "doctor", "--json")
        self.assertTrue(done.stdout.startswith("{"), done)
        said = json.loads(done.stdout)
        return said, {check["check"]: check["state"] for check in said["checks"]}

    def assert_captured(self):
        done = self.crash()
        self.assertEqual(done.returncode, SEGMENTATION_FAULT, done)
        self.assertTrue(done.stderr.startswith("crashcrawler: 1 crash "), done)
        self.assertIn("write_through_null", done.stderr)

    def test_descendants_may_be_traced(self):
        """The tracer is no parent of the command, which therefore allows it (PR_SET_PTRACER, prctl(2))."""
        SETTING.write_text("1")
        self.assert_captured()
        said, states = self.doctor()
        self.assertEqual((said["capture"], states["ptrace"]), ("ptrace", "ok"))

    def test_nobody_may_be_traced_without_the_capability(self):
        SETTING.write_text("2")
        done = self.crash()
        self.assertEqual(done.returncode, 125, done)
        self.assertIn("ptrace_scope is 2", done.stderr)
        said, states = self.doctor()
        self.assertEqual((said["exit_status"], said["capture"], states["ptrace"]), (2, "none", "missing"), said)
        line, = (line for line in said["lines"]["plain"] if "ptrace_scope" in line)
        mended = next(part for part in line.split(" && ") if "ptrace_scope" in part).removeprefix("sudo ")
        subprocess.run(["sh", "-c", mended], check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(self.doctor()[1]["ptrace"], "ok")
        self.assert_captured()


if __name__ == "__main__":
    if KERNEL == "inside":
        machine.require_inside()
        harness.main()
    else:
        sys.exit(machine.run(KERNEL, SECONDS, [sys.executable, __file__, "inside", CRASHING]))
