"""Containers in which something is missing that a run needs, and an engine that is.

    test_wrong_containers.py ARCHIVES STATIC_PROGRAM_THAT_CRASHES

What else may be missing: tests/integration/test_wrong_place.py."""

import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import docker
import harness

ARCHIVES, PROGRAM = map(pathlib.Path, sys.argv[1:3])
SCRATCH = "crashcrawler-test-scratch"
KILLED = 128 + 11
FUNCTIONS = ["write_through_null", "compare_numbers"]


class WrongContainers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = docker.connect()
        cls.folder = cls.enterClassContext(harness.TemporaryFolder())
        subprocess.run(["tar", "-C", cls.folder, "-xf", next(ARCHIVES.glob("*.tar.gz"))], check=True)
        unpacked = next(cls.folder.glob("crashcrawler-*"))
        archive = cls.folder / "scratch.tar"
        with tarfile.open(archive, "w") as tar:
            for name in ("bin/crashcrawler-run", "bin/crashcrawler", "libexec/crashcrawler/crashcrawler-probe"):
                tar.add(unpacked / name, name)
            tar.add(PROGRAM, "victim")
        cls.engine.docker("import", "--change", 'ENTRYPOINT ["/bin/crashcrawler-run"]', archive, SCRATCH)
        cls.addClassCleanup(cls.engine.docker, "image", "rm", "--force", SCRATCH, check=False)

    def setUp(self):
        self.shared = self.enterContext(docker.SharedFolder())

    def run_in(self, image, *words, options=()):
        return self.engine.run(*words, image=image, options=["-v", f"{self.shared}:/shared", *options])

    def report(self, folder="out"):
        report = json.loads((self.shared / folder / "report.json").read_text())
        harness.validate(report)
        return report

    def test_image_that_has_nothing_but_the_programs(self):
        """No shell, no library, no /tmp, no /etc/passwd, no package database."""
        for folder, options, backend in (("1", ["--privileged"], "bpf"), ("2", [], "ptrace"), ("3", ["--user", "1000"], "ptrace")):
            with self.subTest(options):
                done = self.run_in(SCRATCH, "--output-dir", f"/shared/{folder}", "--", "/victim", options=options)
                self.assertEqual(done.returncode, KILLED, done.stderr)
                report = self.report(folder)
                self.assertEqual(report["collector"]["backend"], backend)
                crash, = report["crashes"]
                functions = [frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))]
                self.assertEqual(functions[:2], FUNCTIONS)

    def test_command_that_such_an_image_has_not(self):
        done = self.run_in(SCRATCH, "--output-dir", "/shared/out", "--", "sh", "-c", "true")
        self.assertEqual((done.returncode, done.stdout), (127, ""), done.stderr)
        self.assertIn("command not found: 'sh'", done.stderr)

    def test_read_only_root(self):
        """The reports would go to the working directory, which is /."""
        words = ("sh", "-c", "echo words of its own; exit 3")
        done = self.run_in(docker.IMAGE, "--", *words, options=["--read-only"])
        self.assertEqual((done.returncode, done.stdout), (harness.HARNESS_FAILED, ""), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("Read-only file system; choose another directory with --output-dir", done.stderr)
        done = self.run_in(docker.IMAGE, "--best-effort", "--", *words, options=["--read-only"])
        self.assertEqual((done.returncode, done.stdout), (3, "words of its own\n"), done.stderr)
        self.assertIn("there will be no report", done.stderr)

    def test_read_only_root_with_a_place_for_the_reports(self):
        shutil.copy(PROGRAM, self.shared / "victim")
        for folder, level in (("1", []), ("2", ["--privileged"])):
            with self.subTest(level):
                done = self.run_in(docker.IMAGE, "--output-dir", f"/shared/{folder}", "--", "/shared/victim",
                                   options=["--read-only", *level])
                self.assertEqual(done.returncode, KILLED, done.stderr)
                self.assertEqual(len(self.report(folder)["crashes"]), 1)

    def test_engine_that_is_down(self):
        """docker says so; its words and its exit status are passed on."""
        environment = {**self.engine.environment, "DOCKER_HOST": f"unix://{self.shared}/nobody.sock"}
        command = ["docker", "run", "--rm", docker.IMAGE, "--version"]
        bare = subprocess.run(command, env=environment, capture_output=True, text=True)
        self.assertNotEqual(bare.returncode, 0)
        outcome = harness.run(command, self.shared, env=environment)
        self.assertEqual((outcome.status, outcome.stdout, outcome.stderr), (bare.returncode, bare.stdout, bare.stderr))
        self.assertEqual(outcome.report()["crashes"], [])


if __name__ == "__main__":
    harness.main()
