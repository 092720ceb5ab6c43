"""--chaos: replayable, written down, and worth its name: races come five times sooner than without (ten to thirty times as measured;
nine trials and the plain runs beside them are enough to tell five from that)."""

import pathlib
import statistics
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

RACES = list(map(pathlib.Path, sys.argv[1:]))
TRIALS = 9
PLAIN_BLOCK, PLAIN_LEAST = 250, 700  # attempts between two trials; of all, to know the rate at all
PROBE = """import ctypes, os, sys
sys.stdout.write(" ".join(map(str, (os.nice(0), os.sched_getscheduler(0),
    ctypes.CDLL(None).personality(0xffffffff) & 0x40000, os.environ.get("MALLOC_PERTURB_")))) + "\\n")"""


class Chaos(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())

    def attempts(self, command, *options, statuses=(0,)):
        outcome = harness.run(command, self.folder, *options, timeout=300)
        self.assertIn(outcome.status, statuses, outcome)
        report = outcome.report()
        harness.validate(report)
        return outcome, report

    def settings(self, *options):
        outcome, report = self.attempts(["/usr/bin/python3", "-c", PROBE], "--repeat", "12", *options)
        return report["attempts"]["seed"], outcome.stdout.splitlines()

    def test_a_seed_brings_back_the_same_settings(self):
        seed, first = self.settings("--chaos")
        again_seed, again = self.settings(f"--chaos={seed}")
        self.assertEqual((again_seed, again), (seed, first))
        _, other = self.settings(f"--chaos={seed + 1}")
        self.assertNotEqual(other, first)
        self.assertGreater(len(set(first)), 3, "attempts are disturbed in different ways")

    def test_the_record_says_how(self):
        outcome, report = self.attempts(["sh", "-c", "kill -SEGV $$"], "--repeat", "6", "--chaos=5", statuses=(139,))
        self.assertIn("--chaos=5", outcome.stderr)
        for crash in report["crashes"]:
            self.assertEqual((crash["chaos"]["seed"], crash["chaos"]["attempt"]), (5, crash["attempt"]))
        self.assertGreater(len({str(crash["chaos"]["settings"]) for crash in report["crashes"]}), 3)
        again = self.attempts(["sh", "-c", "kill -SEGV $$"], "--repeat", "6", "--chaos=5", statuses=(139,))[1]
        self.assertEqual([crash["chaos"] for crash in again["crashes"]], [crash["chaos"] for crash in report["crashes"]])

    def test_what_is_set_stays_set(self):
        command = ["sh", "-c", "echo $MALLOC_PERTURB_"]
        outcome, _ = self.attempts(["env", "MALLOC_PERTURB_=7", *harness.wrapped(command, self.folder / "inner", "--repeat", "8", "--chaos=1")])
        self.assertEqual(set(outcome.stdout.split()), {"7"})

    def test_nobody_is_disturbed_unasked(self):
        _, plain = self.attempts(["/usr/bin/python3", "-c", PROBE], "--repeat", "2")
        self.assertNotIn("seed", plain["attempts"])

    def measure(self, race):
        """Plain runs and trials by turns, so that both see the same machine."""
        plain = crashes = 0
        needed = []
        for trial in range(TRIALS):
            _, report = self.attempts([race], "--repeat", str(PLAIN_BLOCK), "--for", "6s", statuses=(0, 139))
            plain += report["attempts"]["count"]
            crashes += report["attempts"]["crashed"]["count"]
            _, report = self.attempts([race], "--until-crash", f"--chaos={trial + 1}", "--repeat", "150", "--for", "12s",
                                      statuses=(0, 139))
            needed.append(report["attempts"]["count"] if report["attempts"]["ended_by"] == "crash" else 1000)
        print(f"{race.name}: plain {crashes} of {plain}; attempts until a crash with --chaos: {sorted(needed)}")
        if plain < PLAIN_LEAST:
            self.skipTest(f"the machine is too busy: {plain} plain runs in {TRIALS * 6} s say too little")
        return plain / max(crashes, 1), statistics.median(needed)

    def test_races_are_found_sooner(self):
        for race in RACES:
            with self.subTest(race=race.name):
                plain, chaos = self.measure(race)
                self.assertLessEqual(chaos, plain / 5)


harness.main()
