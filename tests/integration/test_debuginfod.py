"""--debuginfod: a stripped program gets its names and lines from a server; without the option nobody is asked.

    test_debuginfod.py PROGRAM    the fixture null_write, with debug information
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

PROGRAM = pathlib.Path(sys.argv[1])
TIME_FOR_ONE_FILE = 10  # seconds, the wrapper's limit


def top_frame(outcome):
    return harness.crashed_thread(outcome.report()["crashes"][0])["frames"][0]


class Debuginfod(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.stripped = self.folder / "stripped"
        subprocess.run(["objcopy", "--strip-all", str(PROGRAM), str(self.stripped)], check=True)

    def run_stripped(self, url, *options):
        environment = {**os.environ, "DEBUGINFOD_URLS": url, "DEBUGINFOD_CACHE_PATH": str(self.folder / "cache")}
        return harness.run([self.stripped], self.folder, *options, env=environment)

    def start_server(self):
        """debuginfod with the folder of PROGRAM's debug file scanned; its URL."""
        if not shutil.which("debuginfod"):
            self.skipTest("debuginfod is not installed")
        files = self.folder / "files"
        files.mkdir()
        subprocess.run(["objcopy", "--only-keep-debug", str(PROGRAM), str(files / "program.debug")], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = self.enterContext(open(self.folder / "server.log", "w"))
        command = ["debuginfod", "-v", "-d", str(self.folder / "db"), "-p", str(port), "-F", str(files)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        url = f"http://127.0.0.1:{port}"
        notes = subprocess.run(["readelf", "-n", str(PROGRAM)], capture_output=True, text=True, check=True).stdout
        build_id = re.search(r"Build ID: ([0-9a-f]+)", notes)[1]

        def has_file():
            try:
                return urllib.request.urlopen(f"{url}/buildid/{build_id}/debuginfo").status == 200
            except (urllib.error.URLError, ConnectionError):
                return False

        harness.wait_until(has_file, "the server has the debug file")
        return url

    def test_names_and_lines_come_from_a_server(self):
        url = self.start_server()
        self.assertNotIn("function", top_frame(self.run_stripped(url)), "nobody is asked without the option")
        outcome = self.run_stripped(url, "--debuginfod")
        frame = harness.flatten(harness.crashed_thread(outcome.report()["crashes"][0]))[0]
        self.assertEqual(pathlib.Path(frame["file"]).parent.name, "null_write", outcome)
        self.assertGreater(frame["line"], 0)
        self.assertIn("function", frame)

    def test_a_server_that_never_answers_costs_no_more_than_the_limit(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            start = time.monotonic()
            outcome = self.run_stripped(f"http://127.0.0.1:{silent.getsockname()[1]}", "--debuginfod")
            took = time.monotonic() - start
        self.assertLess(took, TIME_FOR_ONE_FILE + harness.DEADLINE)
        crash = outcome.report()["crashes"][0]
        self.assertNotIn("function", top_frame(outcome))
        self.assertTrue([error for error in crash["soft_errors"] if error.startswith("debuginfod: ")], crash["soft_errors"])

    def test_without_a_server_it_says_so(self):
        crash = self.run_stripped("", "--debuginfod").report()["crashes"][0]
        self.assertIn("debuginfod: DEBUGINFOD_URLS is not set", crash["soft_errors"])


if __name__ == "__main__":
    harness.main()
