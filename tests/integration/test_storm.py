"""Ten thousand crashes as fast as two processes can make them: none is lost, or each loss is counted.

    test_storm.py PROGRAM
"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

PROGRAM = sys.argv[1]
CRASHES = 10_000


class Storm(unittest.TestCase):
    def storm(self, *options):
        folder = self.enterContext(harness.TemporaryFolder())
        outcome = harness.run([PROGRAM, str(CRASHES)], folder, *options)
        return outcome, outcome.report()

    def test_nothing_is_lost(self):
        outcome, report = self.storm()
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
        self.assertEqual(report["counts"]["lost"], 0)
        self.assertEqual(report["counts"]["crashes"], CRASHES)
        self.assertEqual(report["counts"]["unique"], 1)
        self.assertEqual(len({crash["process"]["pid"] for crash in report["crashes"]}), CRASHES)
        print(f"{CRASHES} crashes in {report['run']['duration_s']} s, none lost")

    def test_losses_are_counted_exactly(self):
        outcome, report = self.storm("--ring-size=256K")
        counts = report["counts"]
        self.assertEqual(counts["crashes"] + counts["lost"], CRASHES, outcome)
        print(f"ring of 256 KiB: {counts['crashes']} reported, {counts['lost']} lost")


if __name__ == "__main__":
    harness.require_capture()
    unittest.main(argv=sys.argv[:1], verbosity=2)
