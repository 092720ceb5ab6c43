"""200 runs, 50 of them ended by SIGKILL to the wrapper at random moments: nothing of ours stays on the machine."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

RUNS = 200
KILLED = 50
SHARED_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run")


def files_of_ours():
    return {path for place in SHARED_PLACES for path in pathlib.Path(place).glob("*crashcrawler*")}


class NoTraces(unittest.TestCase):
    def assert_documented(self, output):
        """Whole or not, the output folder holds only files that a run is documented to write."""
        self.assertLessEqual({path.name for path in output.iterdir()}, {"report.json", "junit.xml", "crashes"})
        for path in (output / "crashes").glob("*"):
            self.assertRegex(path.name, r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.(json|txt|core|repro\.sh)$")

    def run_once(self, command, environment, kill_after=None):
        """One run, killed after that many seconds unless it is None. Returns subprocess's returncode."""
        process = subprocess.Popen(command, env=environment, text=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        timer = threading.Timer(kill_after or 0, process.kill)
        if kill_after is not None:
            timer.start()
        _, stderr = process.communicate()
        timer.cancel()
        self.assertIn(process.returncode, (128 + signal.SIGSEGV, -signal.SIGKILL), stderr)
        return process.returncode

    def test_nothing_stays(self):
        seed = random.SystemRandom().randrange(1 << 32)
        chance = random.Random(seed)
        print(f"\nrandom seed: {seed}", flush=True)
        killed = set(chance.sample(range(1, RUNS), KILLED))
        crashing = harness.BUILD / "fixtures" / "null_write" / "fixture_null_write_O2_pie"

        folder = self.enterContext(harness.TemporaryFolder())
        temporary = folder / "tmp"
        temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(temporary)}
        before = harness.kernel_lists()
        files_before = files_of_ours()
        harness.become_subreaper()  # helpers whose wrapper was killed become ours

        start = time.monotonic()
        for number in range(RUNS):
            command = harness.wrapped([crashing], folder / f"out-{number}")
            if number not in killed:
                self.assertEqual(self.run_once(command, environment), 128 + signal.SIGSEGV)
                continue
            # a random moment of an average run; again and earlier when this one was over by then
            kill_after = chance.uniform(0, (time.monotonic() - start) / number)
            while self.run_once(command, environment, kill_after) != -signal.SIGKILL:
                kill_after /= 2
        print(f"{RUNS} runs, {KILLED} of them killed, {time.monotonic() - start:.0f} s", flush=True)

        harness.reap_orphans()  # does not return before the last of them has ended
        harness.assert_nothing_left(before)
        self.assertEqual(list(temporary.iterdir()), [])
        self.assertEqual(files_of_ours() - files_before, set())
        self.assertEqual([path for path in folder.iterdir() if not path.name.startswith("out-")], [temporary])
        for output in folder.glob("out-*"):
            self.assert_documented(output)


if __name__ == "__main__":
    harness.main()
