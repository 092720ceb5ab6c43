"""crashcrawler export as a program: what it writes where, and its exit status."""

import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

REPORT = {
    "schema_version": "1.0", "collector": {"name": "crashcrawler"},
    "run": {"command_args": ["make", "check"], "exit": {"code": 2}},
    "crashes": [{"id": "0001-x-SIGABRT", "crash_info": {"cause": "aborted", "signal": {"name": "SIGABRT"}},
                 "threads": [{"crashed": True, "frames": [{"function": "check", "file": "/there/src/check.c", "line": 4}]}]}]}
FORMATS = ("counts", "github-annotations", "gitlab-codequality", "markdown", "sarif")


class Export(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        for name in ("crashcrawler-out", "other"):
            (self.folder / name).mkdir()
            (self.folder / name / "report.json").write_text(json.dumps(REPORT))

    def export(self, *arguments):
        return subprocess.run([harness.RUN.with_name("crashcrawler"), "export", *arguments], cwd=self.folder,
                              capture_output=True, text=True)

    def test_every_format_goes_to_standard_output_or_a_file(self):
        for name in FORMATS:
            done = self.export("--format", name)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertNotEqual(done.stdout, "")
            written = self.export("--format", name, "--output", "file", "crashcrawler-out")
            self.assertEqual((written.returncode, written.stdout, written.stderr), (0, "", ""), name)
            if name != "github-annotations":  # has a random word
                self.assertEqual((self.folder / "file").read_text(), done.stdout)

    def test_source_roots(self):
        for roots, place in ((["/there"], "src/check.c"), (["/nowhere", "--source-root", "/there/src/"], "check.c")):
            done = self.export("--format", "gitlab-codequality", "--source-root", *roots, "crashcrawler-out")
            self.assertEqual(json.loads(done.stdout)[0]["location"], {"path": place, "lines": {"begin": 4}})

    def test_several_folders_of_which_one_has_no_report(self):
        (self.folder / "empty").mkdir()
        done = self.export("--format", "counts", "crashcrawler-out", "empty", "other")
        self.assertEqual((done.returncode, done.stdout.split("\n")[0]), (1, "crash-count=2"))
        self.assertEqual(done.stderr, "crashcrawler: there is no report: empty/report.json: No such file or directory; "
                                      "name the folder that --output-dir named\n")

    def test_wrong_command_lines(self):
        for arguments in ((), ("--format", "pdf"), ("--format",), ("--format", "sarif", "--nothing")):
            done = self.export(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertNotEqual(done.stderr, "")

    def test_what_cannot_be_written_is_an_error(self):
        done = self.export("--format", "sarif", "--output", "nowhere/x.sarif")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere/x.sarif", done.stderr)
        with open("/dev/full", "w") as full:
            done = subprocess.run([harness.RUN.with_name("crashcrawler"), "export", "--format", "sarif"], cwd=self.folder,
                                  stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left on device", done.stderr)


if __name__ == "__main__":
    harness.main(captures=False)
