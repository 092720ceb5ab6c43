"""What needs a machine of one's own: limits of memory, and the one core_pattern of a kernel.

    test_oom_and_core_dumps.py KERNEL FOLDER NULL_WRITE            starts the machine
    test_oom_and_core_dumps.py inside FOLDER NULL_WRITE            is what runs in it

FOLDER holds the programs of programs/, NULL_WRITE is the fixture of that name.
"""

import os
import pathlib
import signal
import subprocess
import sys
import unittest

import machine

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

KERNEL, FOLDER, ORDINARY = sys.argv[1:]
EAT_MEMORY = f"{FOLDER}/vm_eat_memory"
EATING = ["take_a_megabyte", "fill_cache", "load_everything", "main"]
TIME_CRASHES = f"{FOLDER}/vm_time_crashes"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
LIMIT = 192 << 20
SECONDS = 600


def remove_with_what_is_in_it(cgroup):
    for child in cgroup.glob("crashcrawler-*"):
        child.rmdir()
    cgroup.rmdir()


class OutOfMemory(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        (CGROUPS / "cgroup.subtree_control").write_text("+memory")

    def assert_out_of_memory(self, crash):
        self.assertEqual(crash["crash_info"]["kind"], "oom")
        self.assertEqual(crash["crash_info"]["signal"]["name"], "SIGKILL")
        self.assertEqual((crash["status"], crash["soft_errors"]), ("OK", []))
        functions = [frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))]
        self.assertEqual([name for name in functions if name in EATING], EATING)

    def eat_below_a_limit(self, *options):
        """The wrapper, the helper and the command in one cgroup, which has too little memory for the last of them."""
        cgroup = CGROUPS / "limited"
        cgroup.mkdir()
        self.addCleanup(remove_with_what_is_in_it, cgroup)
        (cgroup / "memory.max").write_text(str(LIMIT))
        outcome = harness.run(["sh", "-c", f"{EAT_MEMORY}; echo $?; {ORDINARY}; exit 0"], self.folder, *options,
                              preexec_fn=lambda: (cgroup / "cgroup.procs").write_text(str(os.getpid())))
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
        self.assertEqual(outcome.stdout, f"{128 + signal.SIGKILL}\n")
        report = outcome.report()
        harness.validate(report)
        self.assertTrue(report["collector"]["health"]["complete"])
        eater, ordinary = report["crashes"]
        self.assert_out_of_memory(eater)
        self.assertEqual((ordinary["status"], ordinary["soft_errors"]), ("OK", []))
        self.assertIn("out of memory", outcome.stderr)

    def test_limit_around_the_wrapper(self):
        self.eat_below_a_limit()

    def test_the_helper_is_never_the_victim(self):
        """It is the largest where the kernel counts the pages of a mapped ring (6.12 does, twice)."""
        self.eat_below_a_limit("--ring-size=64M")

    def test_limit_on_the_tree_that_kills_all_of_it(self):
        """memory.oom.group: what did not ask for the memory dies as well, and is told."""
        script = f"""cg={CGROUPS}$(sed -n 's/^0:://p' /proc/self/cgroup)
            echo {LIMIT} > $cg/memory.max; echo 1 > $cg/memory.oom.group
            {EAT_MEMORY}; echo lives"""
        outcome = harness.run(["sh", "-c", script], self.folder)
        self.assertEqual((outcome.status, outcome.stdout), (128 + signal.SIGKILL, ""), outcome)
        report = outcome.report()
        self.assertTrue(report["collector"]["health"]["complete"])
        by_program = {crash["process"]["name"]: crash for crash in report["crashes"]}
        self.assert_out_of_memory(by_program["vm_eat_memory"])
        self.assertEqual(by_program["sh"]["crash_info"]["signal"]["name"], "SIGKILL")


class Pressure(unittest.TestCase):
    """--chaos where attempts have a memory controller."""

    def test_attempts_have_what_their_records_say(self):
        (CGROUPS / "cgroup.subtree_control").write_text("+memory")
        folder = self.enterContext(harness.TemporaryFolder())
        script = f"cat {CGROUPS}$(sed -n 's/^0:://p' /proc/self/cgroup)/memory.high; kill -SEGV $$"
        outcome = harness.run(["sh", "-c", script], folder, "--repeat", "16", "--chaos=3")
        report = outcome.report()
        harness.validate(report)
        told = [crash["chaos"]["settings"].get("memory_high", "max") for crash in report["crashes"]]
        self.assertEqual(outcome.stdout.split(), [str(high) for high in told], outcome)
        self.assertEqual(len(told), 16)
        self.assertLess(told.count("max"), 16)


class CoreDumps(unittest.TestCase):
    """core(5): a limit of 0 bytes keeps a helper behind a pipe from nothing; a limit of 1 means that it is not run."""

    CRASHES = 3

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.calls = self.folder / "calls"
        helper = self.folder / "helper"
        helper.write_text(f"#!/bin/sh\ncat > /dev/null\necho called >> {self.calls}\n")
        helper.chmod(0o755)
        machine.pipe_cores_to(helper)

    def helper_runs(self):
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    def crash(self, *limit):
        subprocess.run([*limit, TIME_CRASHES, str(self.CRASHES), "0"], check=True, stdout=subprocess.DEVNULL)

    def crash_under_us(self, *options):
        outcome = harness.run([TIME_CRASHES, str(self.CRASHES), "0"], self.folder, *options)
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
        self.assertEqual(outcome.report()["counts"]["crashes"], self.CRASHES)

    def test_bare(self):
        self.crash()
        self.assertEqual(self.helper_runs(), self.CRASHES)

    def test_limit_of_0(self):
        self.crash("prlimit", "--core=0")
        self.assertEqual(self.helper_runs(), self.CRASHES)

    def test_limit_of_1(self):
        self.crash("prlimit", "--core=1")
        self.assertEqual(self.helper_runs(), 0)

    def test_under_us(self):
        self.crash_under_us()
        self.assertEqual(self.helper_runs(), 0)

    def test_kept(self):
        self.crash_under_us("--keep-core")
        self.assertEqual(self.helper_runs(), self.CRASHES)


if __name__ == "__main__":
    if KERNEL == "inside":
        machine.require_inside()
        harness.main()
    else:
        sys.exit(machine.run(KERNEL, SECONDS, [sys.executable, __file__, "inside", FOLDER, ORDINARY]))
