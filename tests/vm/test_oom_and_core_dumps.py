"""What needs a machine of one's own: limits of memory and of disks, and the one core_pattern of a kernel.

    test_oom_and_core_dumps.py KERNEL FOLDER NULL_WRITE            starts the machine
    test_oom_and_core_dumps.py inside FOLDER NULL_WRITE            is what runs in it

FOLDER holds the programs of programs/, NULL_WRITE is the fixture of that name.
"""

import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
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


class SlowDisk(unittest.TestCase):
    """--chaos where attempts have an io controller and run in a folder on a disk, or on a partition of one."""

    SECTOR, BEGIN, SIZE = 512, 2048, 16 << 20
    NUMBER = 6
    ATTEMPTS = ("--repeat", str(NUMBER), "--chaos=3")
    SCRIPT = f"echo $(cat {CGROUPS}$(sed -n 's/^0:://p' /proc/self/cgroup)/io.max); kill -SEGV $$"

    def setUp(self):
        (CGROUPS / "cgroup.subtree_control").write_text("+io")
        self.folder = self.enterContext(harness.TemporaryFolder())
        machine.load_modules("loop", "ext4")

    def disk(self, partition=False):
        """A loop device of a file in memory; the name of what a file system can be made on, and MAJOR:MINOR of the disk."""
        image = self.enterContext(tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="cc-test-"))
        image.truncate(self.SIZE)
        if partition:  # in a partition table of DOS: its type, first sector and number of sectors, and the mark at the end
            sectors = self.SIZE // self.SECTOR - self.BEGIN
            image.seek(446)
            image.write(struct.pack("<4xB3xII", 0x83, self.BEGIN, sectors))
            image.seek(510)
            image.write(b"\x55\xaa")
            image.flush()
        losetup = ["losetup", "--partscan", "--find", "--show", image.name]
        device = subprocess.run(losetup, check=True, capture_output=True, text=True).stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "--detach", device], check=True)
        number = (pathlib.Path("/sys/class/block") / pathlib.Path(device).name / "dev").read_text().strip()
        return device + ("p1" if partition else ""), number

    def attempts_on(self, device, *prefix):
        """What each attempt found in its io.max, and what its record says."""
        folder = self.folder / "disk"
        folder.mkdir()
        subprocess.run(["mkfs.ext4", "-q", device], check=True)
        subprocess.run(["mount", device, folder], check=True)
        try:
            folder.chmod(0o777)
            command = harness.wrapped(["sh", "-c", self.SCRIPT], folder / "out", *self.ATTEMPTS)
            process = subprocess.run([*prefix, *command], cwd=folder, capture_output=True, text=True)
            outcome = harness.Outcome(process, folder / "out")
            report = outcome.report()
        finally:
            subprocess.run(["umount", folder], check=True)
        harness.validate(report)
        self.assertEqual(len(report["crashes"]), self.NUMBER, outcome)
        self.assertEqual(harness.our_cgroups(), set())
        return outcome.stdout.splitlines(), [crash["chaos"]["settings"].get("io_bytes_per_second") for crash in report["crashes"]]

    def expect(self, number, found, told):
        limits = [f"{number} rbps={most} wbps={most} riops=max wiops=max" if most else "" for most in told]
        self.assertEqual(found, limits)
        self.assertTrue(0 < told.count(None) < self.NUMBER, told)

    def test_a_disk(self):
        device, number = self.disk()
        self.expect(number, *self.attempts_on(device))

    def test_a_partition(self):
        device, number = self.disk(partition=True)
        self.expect(number, *self.attempts_on(device))

    def test_an_ordinary_user(self):
        device, number = self.disk()
        self.folder.chmod(0o755)
        rules = self.folder / "rules"
        rules.write_text("nobody ALL=(ALL) NOPASSWD: ALL\n")
        rules.chmod(0o440)
        as_user = f"mount -t tmpfs -o mode=755 none /etc/sudoers.d; cp -p {rules} /etc/sudoers.d/test; " \
                  'exec setpriv --reuid nobody --regid nogroup --clear-groups "$@"'
        self.expect(number, *self.attempts_on(device, "unshare", "--mount", "sh", "-ec", as_user, "sh"))

    def test_what_is_no_disk(self):
        """Its records say that there was no limit."""
        tmpfs = self.folder / "tmpfs"
        tmpfs.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", tmpfs], check=True)
        self.addCleanup(subprocess.run, ["umount", tmpfs], check=True)
        outcome = harness.run(["sh", "-c", self.SCRIPT], tmpfs, *self.ATTEMPTS)
        told = {crash["chaos"]["settings"].get("io_bytes_per_second") for crash in outcome.report()["crashes"]}
        self.assertEqual((outcome.stdout.split(), told), ([], {None}), outcome)


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
