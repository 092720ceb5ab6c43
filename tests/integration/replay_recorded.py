"""Replays every recording of fixtures/recorded/ and compares it with the expected.json of its fixture. Needs nothing:
no privilege, no BPF, and none of the files that were mapped.

Those are on no machine, so frames have neither names nor CFI; the program has frame pointers (make_recordings.py).
"""

import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

RECORDINGS = sorted((harness.SOURCE / "fixtures" / "recorded").glob("*.recording"))
PROGRAM = "/mnt/fixture/fixture_{}"


class ReplayRecorded(unittest.TestCase):
    def replay(self, recording):
        folder = self.enterContext(harness.TemporaryFolder())
        command = [str(harness.RUN), "--output-dir", str(folder / "out"), "--replay", str(recording)]
        process = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        return harness.Outcome(process, folder / "out")

    def test_there_are_recordings(self):
        self.assertTrue(RECORDINGS, "tests/support/make_recordings.py makes them")

    def test_recordings(self):
        for recording in RECORDINGS:
            with self.subTest(recording.name):
                expected = json.loads((harness.SOURCE / "fixtures" / recording.stem / "expected.json").read_text())
                outcome = self.replay(recording)
                self.assertEqual(outcome.status, expected["exit_status"], outcome)
                report = outcome.report()
                harness.validate(report)
                self.check_run(report, recording.stem)
                self.assertEqual(len(report["crashes"]), len(expected["crashes"]))
                for wanted, crash in zip(expected["crashes"], report["crashes"]):
                    self.check_crash(crash, wanted, PROGRAM.format(recording.stem))

    def check_run(self, report, behaviour):
        self.assertEqual(report["run"]["command_args"], [PROGRAM.format(behaviour)])
        self.assertEqual(report["run"]["working_directory"], "/mnt/fixture")
        health = report["collector"]["health"]
        self.assertEqual((health["lost"], health["lost_records"], health["degraded"]), (0, 0, []))
        self.assertTrue(health["complete"])

    def check_crash(self, crash, wanted, program):
        info = crash["crash_info"]
        self.assertEqual(crash["status"], "OK")
        self.assertEqual(info["kind"], wanted["kind"])
        self.assertEqual(info["signal"]["name"], wanted["signal"])
        self.assertEqual(info["signal"]["code_name"], wanted["code"])
        self.assertEqual(info["signal"].get("fault_address"), wanted["fault_address"])
        self.assertEqual(crash["process"]["executable"]["path"], program)
        self.assertEqual(crash["process"]["command_args"][0], program)

        self.assertGreaterEqual(len(crash["threads"]), wanted.get("min_threads", 1))
        thread = harness.crashed_thread(crash)
        if "thread_name" in wanted:
            self.assertEqual(thread["thread_name"], wanted["thread_name"])
        names = {thread["thread_name"] for thread in crash["threads"]}
        self.assertLessEqual(set(wanted.get("other_threads", {})), names)

        own = [frame for frame in thread["frames"] if frame.get("module") == program]
        self.assertGreaterEqual(len(own), len(wanted["frames"]))
        self.assertEqual((own[0]["frame"], own[0]["trust"]), (0, "context"))
        self.assertTrue([error for error in crash["soft_errors"] if program in error], "nothing said that it is missing")


if __name__ == "__main__":
    unittest.main(verbosity=2)
