"""200 runs, 50 of them ended by SIGKILL to the wrapper at random moments: nothing of ours stays on the machine."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

RUNS = 200
KILLED = 50
LONGEST_DELAY = 0.4  # seconds; a whole run takes about as long, so every phase of it is hit


class NoTraces(unittest.TestCase):
    def assert_documented(self, output):
        """Whole or not, the output folder holds only files that a run is documented to write."""
        self.assertLessEqual({path.name for path in output.iterdir()}, {"report.json", "junit.xml", "crashes"})
        for path in (output / "crashes").glob("*"):
            self.assertRegex(path.name, r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.(json|txt)$")

    def test_nothing_stays(self):
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"random seed: {seed}", flush=True)
        chance = random.Random(seed)
        killed = set(chance.sample(range(RUNS), KILLED))
        crashing = harness.BUILD / "fixtures" / "null_write" / "fixture_null_write_O2_pie"

        folder = self.enterContext(harness.TemporaryFolder())
        temporary = folder / "tmp"
        temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(temporary)}
        shared_places = [pathlib.Path(place) for place in ("/tmp", "/var/tmp", "/dev/shm", "/run")]
        before = harness.kernel_lists()
        files_before = {path for place in shared_places for path in place.glob("*crashcrawler*")}

        harness.become_subreaper()  # helpers whose wrapper was killed become ours
        ended_before_the_kill = 0
        for number in range(RUNS):
            output = folder / f"out-{number}"
            process = subprocess.Popen(harness.wrapped([crashing], output), cwd=folder, env=environment, text=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if number in killed:
                timer = threading.Timer(chance.uniform(0, LONGEST_DELAY), process.kill)
                timer.start()
            _, stderr = process.communicate()
            if number in killed:
                timer.cancel()
                timer.join()
                ended_before_the_kill += process.returncode != -signal.SIGKILL
            else:
                self.assertEqual(process.returncode, 128 + signal.SIGSEGV, stderr)
        print(f"{RUNS} runs, {KILLED} to be killed, of which {ended_before_the_kill} were quicker", flush=True)

        harness.reap_orphans()  # does not return before the last of them has ended
        harness.assert_nothing_left(before)
        self.assertEqual(list(temporary.iterdir()), [])
        files_now = {path for place in shared_places for path in place.glob("*crashcrawler*")}
        self.assertEqual(files_now - files_before, set())
        self.assertEqual([path for path in folder.iterdir() if not path.name.startswith("out-")], [temporary])
        for output in folder.glob("out-*"):
            self.assert_documented(output)


if __name__ == "__main__":
    harness.main()
