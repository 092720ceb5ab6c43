"""The run lines of docker/README.md, as they stand there: each captures the crash of a test that ctest runs, in its own way.

    test_readme.py PROGRAM_THAT_CRASHES
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import docker
import harness

PROGRAM = pathlib.Path(sys.argv[1])
README = (harness.SOURCE / "docker" / "README.md").read_text()
LINES = [line for block in re.findall(r"(?ms)^```\n(.*?)^```$", README) for line in block.splitlines()]
NAME = "crashcrawler"  # of the image, in the lines
FAILED_TESTS = 8  # ctest's exit status

# (backend, has a cgroup, what health.degraded says) of each line
EXPECTED = [("bpf", True, []), ("bpf", True, []), ("bpf", False, ["followed from fork to fork"]),
            ("ptrace", False, ["BPF cannot be had"])]


class Lines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = docker.connect()
        if not cls.engine.has(docker.IMAGE_WITH_TOOLS):
            harness.skip("there is no image with ctest; the test docker.tools says why")
        if cls.engine.has(NAME):
            harness.skip(f"the engine has an image that is called {NAME} already")
        cls.engine.docker("tag", docker.IMAGE_WITH_TOOLS, NAME)
        cls.addClassCleanup(cls.engine.docker, "image", "rm", NAME, check=False)

    def project(self):
        folder = self.enterContext(docker.SharedFolder())
        build = folder / "build"
        build.mkdir()
        shutil.copy(PROGRAM, build / "checkout")
        (build / "CTestTestfile.cmake").write_text('add_test(buys_nothing "/src/build/checkout")\n')
        return folder

    def run_line(self, line):
        folder = self.project()
        done = subprocess.run(["bash", "-c", line], cwd=folder, env=self.engine.environment, capture_output=True, text=True)
        return done, folder / "crashcrawler-out"

    def test_from_most_to_least_privileged(self):
        lines = [line for line in LINES if line.startswith("docker run ")]
        self.assertEqual(len(lines), len(EXPECTED))
        for line, (backend, has_cgroup, degraded) in zip(lines, EXPECTED):
            with self.subTest(line):
                done, output = self.run_line(line)
                self.assertEqual(done.returncode, FAILED_TESTS, done.stdout + done.stderr)
                self.assertIn("SIGSEGV", done.stderr)
                report = json.loads((output / "report.json").read_text())
                harness.validate(report)
                crash, = report["crashes"]
                self.assertEqual(crash["test"]["name"], "buys_nothing")
                self.assertEqual(report["collector"]["backend"], backend)
                self.assertEqual("/crashcrawler-" in crash["process"]["cgroup"], has_cgroup)
                said = report["collector"]["health"]["degraded"]
                self.assertEqual(len(said), len(degraded), said)
                for text, wanted in zip(said, degraded):
                    self.assertIn(wanted, text)
                functions = [frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))]
                self.assertEqual(functions[:4], ["write_through_null", "save_score", "finish_game", "main"])

    def test_what_the_list_says_of_them(self):
        lines = [line.replace("-- ctest", "--repeat 2 --jobs 2 -- ctest") for line in LINES if line.startswith("docker run ")]
        done, _ = self.run_line(lines[2])
        self.assertEqual(done.returncode, harness.HARNESS_FAILED, done.stderr)
        self.assertIn("--jobs", done.stderr)
        done, _ = self.run_line(lines[1])
        self.assertEqual(done.returncode, FAILED_TESTS, done.stderr)

    def test_an_ordinary_user(self):
        line = [line for line in LINES if line.startswith("docker run ")][3]
        folder = self.project()
        line = line.replace("docker run ", "docker run --user 1000 ")
        done = subprocess.run(["bash", "-c", line], cwd=folder, env=self.engine.environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, FAILED_TESTS, done.stdout + done.stderr)
        self.assertEqual((folder / "crashcrawler-out" / "report.json").stat().st_uid, 1000)

    def test_podman_s_is_docker_s_with_its_own_options(self):
        """They are run by tests/integration/test_podman.py."""
        line, = (line for line in LINES if "podman" in line)
        docker_s = [line for line in LINES if line.startswith("docker run ")][1]
        cgroup = "--cgroupns host -v /sys/fs/cgroup:/sys/fs/cgroup:rw"
        self.assertEqual(line, "sudo " + docker_s.replace("docker", "podman").replace(cgroup,
                         "--security-opt unmask=/sys/fs/cgroup --security-opt seccomp=unconfined"))

    def test_doctor(self):
        said = self.engine.run("doctor", "--json", options=["--entrypoint", "crashcrawler"], image=NAME)
        self.assertEqual(json.loads(said.stdout)["capture"], "ptrace", said.stderr)
        self.assertIn("--entrypoint crashcrawler crashcrawler doctor", README)


if __name__ == "__main__":
    harness.main()
