"""The flavours of one fixture without the wrapper: a fixture that no longer does what its expected.json says would
make every other test of it meaningless.

    fixture_bare.py BEHAVIOUR PROGRAM...
"""

import os
import pathlib
import resource
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import expectation
import harness

BEHAVIOUR, PROGRAMS = sys.argv[1], sys.argv[2:]
EXPECTED = expectation.read(BEHAVIOUR)


class FixtureBare(unittest.TestCase):
    def test_wait_status(self):
        expected = EXPECTED["exit_status"]
        if "bare_status" in EXPECTED:
            expected = EXPECTED["bare_status"]
        if expected == harness.CRASH_BEHIND_SUCCESS and EXPECTED["crashes"]:
            expected = 0
        for program in PROGRAMS:
            with self.subTest(program), harness.TemporaryFolder() as folder:
                process = subprocess.run(expectation.command(EXPECTED, program, folder), cwd=folder,
                                         capture_output=True, text=True)
                orphans = harness.reap_orphans()
                self.assertEqual(harness.shell_status(process.returncode), expected, process)
                # what a program leaves behind is its crash; only the daemon leaves anything behind
                deaths = [signal.Signals(os.WTERMSIG(status)).name for status in orphans.values()
                          if os.WIFSIGNALED(status)]
                left = EXPECTED["crashes"] if BEHAVIOUR == "daemon_grandchild" else []
                self.assertEqual(deaths, [crash["signal"] for crash in left])


if __name__ == "__main__":
    expectation.require(EXPECTED, PROGRAMS[0])
    harness.become_subreaper()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    unittest.main(argv=sys.argv[:1], verbosity=2)
