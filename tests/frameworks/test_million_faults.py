"""A program that takes a million SIGSEGVs and lives: nothing is reported, nothing is changed. What it costs is a ratio
of tests/bench/run.

    test_million_faults.py PROGRAM
"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

PROGRAM = sys.argv[1]


class MillionFaults(unittest.TestCase):
    def test_silence(self):
        with harness.TemporaryFolder() as folder:
            outcome = harness.run([PROGRAM], folder)
            # 0: the program has counted a million
            self.assertEqual((outcome.status, outcome.stderr), (0, ""))
            report = outcome.report()
        harness.validate(report)
        self.assertEqual(report["crashes"], [])
        self.assertEqual((report["counts"]["lost"], report["collector"]["health"]["lost"]), (0, 0))


if __name__ == "__main__":
    harness.main()
