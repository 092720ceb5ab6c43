"""Processes that outlive the command, and a wrapper that does not outlive it."""

import os
import pathlib
import select
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

START_DAEMON = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "start_daemon.py")


class Outliving(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.fifo = self.folder / "fifo"
        os.mkfifo(self.fifo)
        self.before = harness.kernel_lists()

    def assert_dead(self, pid):
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        with open(pidfd) as file:
            ready, _, _ = select.select([file], [], [], harness.DEADLINE)
            self.assertTrue(ready, f"process {pid} still lives")

    def assert_lives_elsewhere(self, pid):
        self.assertIn(harness.proc_status(pid)["State"][0], "SR")
        cgroups = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        self.assertNotIn("crashcrawler-", cgroups)


class Leftovers(Outliving):
    def start(self, *options):
        """Starts the wrapper with a command that leaves a daemon; returns the wrapper and the daemon's pid."""
        command = [sys.executable, START_DAEMON, self.fifo]
        process = subprocess.Popen(harness.wrapped(command, self.folder / "out", *options), cwd=self.folder, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        command, daemon = map(int, process.stdout.readline().split())
        self.addCleanup(harness.end_process, daemon)
        harness.wait_until(lambda: harness.proc_status(command) is None, "the wrapper has waited for the command")
        return process, daemon

    def wait(self, process):
        process.wait(timeout=harness.DEADLINE)
        stderr = process.stderr.read()
        return harness.Outcome(subprocess.CompletedProcess([], process.returncode, "", stderr), self.folder / "out")

    def test_leave_is_the_default(self):
        process, daemon = self.start("--linger=0s")
        outcome = self.wait(process)
        self.assertEqual(outcome.status, 0, outcome)
        self.assert_lives_elsewhere(daemon)
        leftovers = outcome.report()["run"]["leftover_processes"]
        self.assertEqual([leftover["pid"] for leftover in leftovers], [daemon])
        self.assertIn(START_DAEMON, str(leftovers[0]))
        self.assertIn(str(daemon), outcome.stderr)
        harness.assert_nothing_left(self.before)
        self.fifo.write_text("exit")
        self.assert_dead(daemon)

    def test_default_linger_is_short(self):
        process, daemon = self.start()
        outcome = self.wait(process)
        self.assertEqual(outcome.status, 0, outcome)
        self.assert_lives_elsewhere(daemon)

    def test_kill(self):
        process, daemon = self.start("--linger=0s", "--leftovers=kill")
        outcome = self.wait(process)
        self.assertEqual(outcome.status, 0, outcome)
        self.assert_dead(daemon)
        self.assertEqual([leftover["pid"] for leftover in outcome.report()["run"]["leftover_processes"]], [daemon])
        self.assertEqual(outcome.report()["crashes"], [])
        harness.assert_nothing_left(self.before)

    def test_wait(self):
        process, daemon = self.start("--linger=0s", "--leftovers=wait")
        self.assertIsNone(process.poll())
        self.fifo.write_text("exit")
        outcome = self.wait(process)
        self.assertEqual(outcome.status, 0, outcome)
        self.assertEqual(outcome.report()["run"].get("leftover_processes", []), [])
        self.assert_dead(daemon)

    def test_late_crash_is_reported(self):
        for options in (["--linger=60s"], ["--linger=0s", "--leftovers=wait"]):
            with self.subTest(options):
                process, daemon = self.start(*options)
                self.fifo.write_text("crash")
                outcome = self.wait(process)
                self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
                crashes = outcome.report()["crashes"]
                self.assertEqual([crash["process"]["pid"] for crash in crashes], [daemon])
                self.assertEqual(crashes[0]["crash_info"]["signal"]["name"], "SIGSEGV")
                self.assertEqual(outcome.report()["run"].get("leftover_processes", []), [])

    def test_sigint_ends_the_lingering(self):
        process, daemon = self.start("--linger=3600s")
        process.send_signal(signal.SIGINT)
        outcome = self.wait(process)
        self.assertEqual(outcome.status, 0, outcome)
        self.assert_lives_elsewhere(daemon)


class KilledWrapper(Outliving):
    """SIGKILL to the wrapper: the helper takes everything down and lets the command run on."""

    def test_command_goes_on(self):
        command = ["sh", "-c", 'echo $$; read word < "$0"; echo "$word"; exec 1>&-', self.fifo]
        process = subprocess.Popen(harness.wrapped(command, self.folder / "out"), cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.communicate)
        pid = int(process.stdout.readline())
        self.addCleanup(harness.end_process, pid)
        process.kill()
        process.wait()
        harness.assert_nothing_left(self.before)
        self.assert_lives_elsewhere(pid)
        self.fifo.write_text("went on\n")
        self.assertEqual(process.stdout.read(), "went on\n")
        self.assert_dead(pid)


if __name__ == "__main__":
    harness.main()
