"""The pieces of docs/ci: their YAML parses, shellcheck accepts their shell lines, and those are run.

    test_ci_pieces.py

Of each file the commands of a shard are run for two shards and then those of the last job, in a copy of a small project, with what
the CI system would have set. cmake, ctest, apt-get and the agent are stand-ins; ctest runs a program that crashes in the second shard.
The Jenkinsfile is read by its `sh` steps alone. Kubernetes has the programs in its image, so its commands find them in PATH.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness
from packed import pack_programs, sha256_of

try:
    import yaml
except ImportError:
    harness.skip("python3-yaml is not installed")

CI = harness.SOURCE / "docs" / "ci"
STAND_INS = {
    "apt-get": "exit 0",
    "cmake": "exit 0",
    "ctest": 'case "$*" in *"-I 2,,"*) ./checkout bad ;; *) ./checkout good ;; esac',
    "buildkite-agent": '[[ $1 != annotate ]] || cat >annotation.md',
}


def load(name):
    return list(yaml.safe_load_all((CI / name).read_text()))


def gitlab():
    """Yields (shell lines of a shard, of the last job, environment of shard N)."""
    document, = load("gitlab.yml")
    return (document["test"]["script"], document["crashes"]["script"],
            lambda shard: {"CI_NODE_INDEX": str(shard), "CI_NODE_TOTAL": "2"})


def commands_of_circleci(job):
    steps = [step["run"] for step in job["steps"] if isinstance(step, dict) and "run" in step]
    return [step if isinstance(step, str) else step["command"] for step in steps]


def circleci():
    document, = load("circleci.yml")
    return (commands_of_circleci(document["jobs"]["test"]), commands_of_circleci(document["jobs"]["crashes"]),
            lambda shard: {"CIRCLE_NODE_INDEX": str(shard - 1), "CIRCLE_NODE_TOTAL": "2"})


def buildkite():
    document, = load("buildkite.yml")
    test, _, crashes = document["steps"]
    return ([line.replace("$$", "$") for line in test["command"]], [line.replace("$$", "$") for line in crashes["command"]],
            lambda shard: {"BUILDKITE_PARALLEL_JOB": str(shard - 1), "BUILDKITE_PARALLEL_JOB_COUNT": "2"})


def kubernetes():
    test, crashes = (job["spec"]["template"]["spec"]["containers"][0]["args"] for job in load("kubernetes.yaml"))
    return (test, crashes, lambda shard: {"JOB_COMPLETION_INDEX": str(shard - 1)})


def jenkins():
    lines = re.findall(r"(?m)^ +sh '(.*)'$", (CI / "Jenkinsfile").read_text())
    shards = [line.replace("shards/1 shards/2 shards/3 shards/4", "shards/1 shards/2") for line in lines]
    return shards[:3], shards[3:], lambda shard: {"SHARD": str(shard)}


def github():
    document, = load("github.yml")
    commands = [step["run"] for step in document["jobs"]["crashes"]["steps"] if "run" in step]
    return ['crashcrawler/bin/crashcrawler-run --output-dir "shards/crashcrawler-shard-$SHARD" -- ctest -I "$SHARD,,2"'], commands, \
        lambda shard: {"SHARD": str(shard), "GITHUB_STEP_SUMMARY": "summary.md"}


PIECES = {function.__name__: function for function in (gitlab, circleci, buildkite, kubernetes, jenkins, github)}


class Pieces(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = cls.enterClassContext(harness.TemporaryFolder()) / "v0.1.0"
        cls.release.mkdir()
        cls.packed = pack_programs(cls.release)

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.project, self.tools = self.folder / "project", self.folder / "tools"
        (self.project / "ci").mkdir(parents=True)
        self.tools.mkdir()
        for name, body in STAND_INS.items():
            (self.tools / name).write_text(f"#!/bin/bash\n{body}\n")
            (self.tools / name).chmod(0o755)
        shutil.copy(CI / "install-crashcrawler", self.project / "ci")
        source = harness.SOURCE / "tests" / "action" / "project" / "checkout.c"
        shutil.copy(source, self.project)
        subprocess.run(["cc", "-g", "-O0", "-o", "checkout", "checkout.c"], cwd=self.project, check=True)
        self.environment = {**os.environ, "CRASHCRAWLER_RELEASES": self.release.parent.as_uri(), "CRASHCRAWLER_VERSION": "0.1.0",
                            "CRASHCRAWLER_SHA256": sha256_of(self.packed), "PATH": f"{self.tools}:{os.environ['PATH']}"}

    def shell(self, lines, **environment):
        """As the systems do: one shell, which ends at the first failure."""
        return subprocess.run(["bash", "-eo", "pipefail", "-c", "\n".join(lines)], cwd=self.project, capture_output=True, text=True,
                              env={**self.environment, **environment})

    def check_run(self, name):
        shard_lines, last_lines, environment_of = PIECES[name]()
        if name == "kubernetes":
            programs = self.release / "crashcrawler-0.1.0-linux-x86_64" / "bin"
            self.environment["PATH"] = f"{programs}:{self.environment['PATH']}"
            shard_lines, last_lines = ([line.replace("/shards", str(self.project / "shards")) for line in lines]
                                       for lines in (shard_lines, last_lines))
        if name == "github":
            self.shell(['ci/install-crashcrawler "$CRASHCRAWLER_VERSION" "$CRASHCRAWLER_SHA256"']).check_returncode()
        statuses = []
        for shard in (1, 2):
            done = self.shell(shard_lines, **environment_of(shard))
            statuses.append(done.returncode)
            self.assertIn("the sum is 36" if shard == 1 else "1 crash", done.stdout + done.stderr)
        self.assertEqual(statuses, [0, 0 if name == "circleci" else 139], done.stdout + done.stderr)
        done = self.shell(last_lines, **environment_of(1))
        self.assertEqual(done.returncode, 1 if name == "circleci" else 0, done.stdout + done.stderr)
        return done.stdout + "".join(path.read_text() for pattern in ("summary.md", "crashes.md", "annotation.md", "*/crashes.md")
                                     for path in self.project.glob(pattern))

    def test_every_piece_finds_the_crash_of_its_second_shard(self):
        reason = harness.missing_for_capture()
        if reason:
            self.skipTest(reason)
        for name in PIECES:
            with self.subTest(name):
                told = self.check_run(name)
                self.assertIn("### CrashCrawler: 1 crash\n", told)
                second = 1 if name in ("buildkite", "kubernetes") else 2  # these count from 0
                self.assertRegex(told, rf"checkout\.c&#58;10</code> \| in [^|]*{second}/? \|")
                if name == "gitlab":
                    self.assertIn('"path": "checkout.c"', (self.project / "codequality.json").read_text())
                if name == "github":
                    self.assertIn("::error file=checkout.c,line=10", told)
            for path in self.project.iterdir():
                if path.name in ("shards", "crashcrawler") or path.name.startswith("crashcrawler-out-"):
                    shutil.rmtree(path)
                elif path.suffix == ".md":
                    path.unlink()

    def test_a_wrong_sum_is_refused(self):
        done = self.shell(['ci/install-crashcrawler 0.1.0 "$CRASHCRAWLER_SHA256"'], CRASHCRAWLER_SHA256="0" * 64)
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse((self.project / "crashcrawler" / "bin").exists())

    def test_shellcheck(self):
        if not shutil.which("shellcheck"):
            self.skipTest("shellcheck is not installed")
        for name, piece in PIECES.items():
            for lines in piece()[:2]:
                text = "#!/bin/bash\n" + "\n".join(lines) + "\n"
                done = subprocess.run(["shellcheck", "-"], input=text, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}")
        subprocess.run(["shellcheck", CI / "install-crashcrawler"], check=True)

    def test_the_readme_names_every_piece(self):
        readme = (CI / "README.md").read_text()
        for path in CI.iterdir():
            self.assertTrue(path.name == "README.md" or f"]({path.name})" in readme, path.name)


if __name__ == "__main__":
    harness.main(captures=False)
