"""crashes/<id>.repro.sh and `crashcrawler repro`: the same crash comes back, or it is said why not.

    test_repro.py NULL_WRITE HANDLER_ABORTS GTEST RACE
"""

import ctypes
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

NULL_WRITE, HANDLER_ABORTS, GTEST, RACE = map(pathlib.Path, sys.argv[1:])
CRASHCRAWLER = os.environ["CRASHCRAWLER_TEST_CRASHCRAWLER"]
CAME_BACK, DID_NOT, NOT_TRIED = 0, 1, 2
ADDR_NO_RANDOMIZE = 0x40000  # linux/personality.h
# Of a race: what is done by default fails in 1 of 20 cases. After that enough for one that comes once in 60 attempts.
TRIES = [(), *[("--repeat", "300")] * 4]


class Repro(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.program = self.folder / "program"
        shutil.copy(NULL_WRITE, self.program)

    def crash(self, command, *options, **arguments):
        """The only crash of a run, and its folder of reports."""
        outcome = harness.run(command, self.folder, *options, timeout=120, **arguments)
        report = outcome.report()
        harness.validate(report)
        crash, = [crash for crash in report["crashes"] if not crash["crash_info"]["expected"]]
        return crash, outcome.output_dir

    def repro(self, *options, crash="1", status=CAME_BACK, **arguments):
        done = subprocess.run([CRASHCRAWLER, "repro", crash, "--output-dir", self.folder / "out", *options],
                              capture_output=True, text=True, timeout=300, **{"cwd": "/", **arguments})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout if status != NOT_TRIED else done.stderr

    def new_report(self, crash):
        return json.loads((self.folder / "out" / "repro" / crash["id"] / "report.json").read_text())

    def script(self, crash, *arguments, **options):
        return subprocess.run([self.folder / "out" / "crashes" / f"{crash['id']}.repro.sh", *arguments],
                              capture_output=True, text=True, **options)

    def test_a_simple_crash_comes_back(self):
        crash, output = self.crash([self.program])
        before = (output / "report.json").read_text()
        said = self.repro()
        self.assertIn(f"the same crash (fingerprint {crash['signature']['hash'][:8]}) came back in 1 of 1 attempt", said)
        self.assertEqual((output / "report.json").read_text(), before)
        self.assertEqual(self.new_report(crash)["crashes"][0]["signature"], crash["signature"])
        self.assertIn("came back in 3 of 3 attempts", self.repro("--repeat", "3", crash=crash["id"][:6]))
        elsewhere = self.folder / "elsewhere"
        self.repro("--output", elsewhere)
        self.assertTrue((elsewhere / "report.json").exists())

    def test_a_crash_behind_a_handler_comes_back(self):
        shutil.copy(HANDLER_ABORTS, self.program)
        crash, _ = self.crash(["sh", "-c", "./program; true"])
        self.assertEqual(crash["crash_info"]["kind"], "handled_signal")
        self.assertIn("came back in 1 of 1 attempt", self.repro())

    def test_the_script_runs_it_by_hand(self):
        crash, output = self.crash(["./program", "it's", "$(touch pwned)", "new\nline", "`touch pwned`"],
                                   env={**os.environ, "LANG": "'; touch pwned; '", "SECRET": "not to be told"})
        self.assertEqual(self.script(crash, cwd="/").returncode, -11)
        self.assertEqual(self.script(crash, "--process", cwd="/").returncode, -11)
        self.assertFalse((self.folder / "pwned").exists())
        artifact, = [artifact for artifact in crash["artifacts"] if artifact["type"] == "repro_script"]
        text = (output / artifact["path"]).read_bytes()
        self.assertEqual((len(text), hashlib.sha256(text).hexdigest()), (artifact["size"], artifact["sha256"]))
        self.assertNotIn(b"not to be told", text)
        if not shutil.which("shellcheck"):
            self.skipTest("shellcheck is not installed")
        # that quotes in a value stay quotes is what is wanted
        checked = subprocess.run(["shellcheck", "-S", "warning", "-e", "SC2089,SC2090", output / artifact["path"]], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_under_the_wrapper_the_script_is_the_same_crash(self):
        crash, output = self.crash([self.program])
        script = output / "crashes" / f"{crash['id']}.repro.sh"
        outcome = subprocess.run(harness.wrapped([script], self.folder / "by-script"), capture_output=True, text=True)
        self.assertEqual(outcome.returncode, 139, outcome.stderr)
        again, = json.loads((self.folder / "by-script" / "report.json").read_text())["crashes"]
        self.assertEqual(again["signature"], crash["signature"])

    def test_what_was_inherited_is_so_again(self):
        def inherit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (99, 1000))
            ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)

        what = 'exec >> said; ulimit -S -n; echo "$LANG"; cat /proc/self/personality; kill -SEGV $$'
        crash, _ = self.crash(["sh", "-c", what], env={**os.environ, "LANG": "of the run"}, preexec_fn=inherit)
        self.repro(env={**os.environ, "LANG": "another"})
        self.script(crash)
        first, *others = (self.folder / "said").read_text().split("99\n")[1:]
        self.assertEqual((first, others), ("of the run\n00040000\n", [first, first]))

    def test_a_test_of_ctest_is_run_alone(self):
        (self.folder / "CTestTestfile.cmake").write_text(
            f'add_test(good "sh" "-c" "echo good >> ran")\nadd_test(bad.one "{self.program}")\n')
        crash, _ = self.crash(["ctest"])
        self.assertEqual((crash["test"]["runner"], crash["only"]), ("ctest", "bad.one"))
        self.repro()
        self.script(crash)
        self.assertEqual((self.folder / "ran").read_text(), "good\n")
        self.script(crash, "--all")
        self.assertEqual((self.folder / "ran").read_text(), "good\ngood\n")

    def test_a_test_of_googletest_is_run_alone(self):
        listed = subprocess.run([GTEST, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout
        suite = next(line for line in listed.splitlines() if line and not line.startswith(" ")).strip()
        outcome = harness.run([GTEST], self.folder, timeout=120)
        crash = next(crash for crash in outcome.report()["crashes"] if not crash["crash_info"]["expected"])
        self.assertTrue(crash["only"], f"of {suite}")
        again = self.repro(crash=crash["id"])
        self.assertIn("came back in 1 of 1 attempt", again)
        self.assertIn(f"--gtest_filter={crash['only']}", self.new_report(crash)["run"]["command_args"])

    def test_a_test_of_pytest_is_run_alone(self):
        pytest = shutil.which("pytest-3") or shutil.which("pytest")
        if not pytest:
            self.skipTest("pytest is not installed")
        (self.folder / "test_two.py").write_text("import os, pytest\n"
                                                 "def test_good(): open('ran', 'a').write('good')\n"
                                                 "@pytest.mark.parametrize('what', ['a b'])\n"
                                                 "def test_bad(what): os.abort()\n")
        crash, _ = self.crash([pytest, "-p", "no:cacheprovider", "-p", "no:faulthandler", "test_two.py"])
        self.assertEqual(crash["only"], "test_two.py::test_bad[a b]")
        self.assertIn("came back in 1 of 1 attempt", self.repro())
        self.assertEqual(self.script(crash).returncode, -6)
        self.assertEqual((self.folder / "ran").read_text(), "good")

    def test_another_program_is_said(self):
        crash, _ = self.crash(["./program"])
        shutil.copy(HANDLER_ABORTS, self.program)
        said = self.repro(status=NOT_TRIED)
        old, new = re.search(r"had the build-id (\w+), now it is (\w+)", said).groups()
        self.assertEqual(old, crash["process"]["executable"]["build_id"])
        self.assertNotEqual(old, new)
        self.assertIn("another crash (fingerprint", self.repro("--force", status=DID_NOT))
        shutil.copy("/bin/true", self.program)
        self.assertIn("no crash came in 1 attempt", self.repro("--force", status=DID_NOT))

    def test_what_is_missing_is_said(self):
        work = self.folder / "work"
        work.mkdir()
        self.crash([self.program], cwd=work)
        work.rmdir()
        self.assertIn(f"{work}; make it, or name an image that has it with --docker IMAGE", self.repro(status=NOT_TRIED))
        self.program.unlink()
        self.assertIn(f"{self.program}; build it there, name an image", self.repro(status=NOT_TRIED))

    def test_wrong_input(self):
        self.crash([self.program])
        self.assertIn("there is no crash 9", self.repro(crash="9", status=NOT_TRIED))
        self.assertIn("no crash of that name", self.repro(crash="x", status=NOT_TRIED))
        self.assertIn("--output", self.repro("--output", self.folder / "out", status=NOT_TRIED))
        self.assertIn("--output", self.repro("--output", "/proc/x", status=NOT_TRIED))
        foreign = self.folder / "foreign"
        foreign.mkdir()
        (foreign / "report.json").write_text("{}")
        self.assertIn("wrote no report", self.repro("--output", foreign, status=NOT_TRIED))
        self.assertEqual((foreign / "report.json").read_text(), "{}")
        (self.folder / "out" / "crashes" / next((self.folder / "out" / "crashes").glob("*.json")).name).write_text("{")
        self.assertIn("is cut, damaged, or no record", self.repro(status=NOT_TRIED))
        shutil.rmtree(self.folder / "out")
        self.assertIn("there is no report", self.repro(status=NOT_TRIED))

    def test_without_an_engine(self):
        self.crash([self.program])
        self.assertIn("docker is not installed", self.repro("--docker", status=NOT_TRIED, env={"PATH": "/nowhere"}))
        if not shutil.which("docker"):
            self.skipTest("docker is not installed")
        environment = {**os.environ, "DOCKER_HOST": f"unix://{self.folder}/no.sock"}
        self.assertIn("docker reaches no engine", self.repro("--docker", status=NOT_TRIED, env=environment))

    def test_a_race_comes_back(self):
        outcome = harness.run([RACE], self.folder, "--until-crash", "--chaos", "--for", "240s")
        if not outcome.report()["crashes"]:
            self.skipTest("the race did not come in 240 s")
        crash, = outcome.report()["crashes"]
        for options in TRIES:
            done = subprocess.run([CRASHCRAWLER, "repro", "1", "--output-dir", self.folder / "out", *options],
                                  capture_output=True, text=True)
            print(done.stdout)
            if done.returncode == CAME_BACK:
                break
            self.assertIn("no crash came", done.stdout)
        self.assertEqual(done.returncode, CAME_BACK, done.stdout)
        self.assertRegex(done.stdout, rf"fingerprint {crash['signature']['hash'][:8]}\) came back in \d+ of \d+ attempt")
        again = self.new_report(crash)["crashes"][0]
        self.assertEqual(again["chaos"]["seed"], crash["chaos"]["seed"])
        self.assertGreaterEqual(again["chaos"]["attempt"], crash["chaos"]["attempt"])

    def test_the_first_attempt_has_the_settings_of_the_recorded_one(self):
        crash, _ = self.crash(["sh", "-c", "echo run >> runs; [ $(wc -l < runs) -lt 4 ] || kill -SEGV $$"], "--until-crash", "--chaos=7")
        self.assertEqual(crash["chaos"]["attempt"], 4)
        self.repro()
        again, = self.new_report(crash)["crashes"]
        self.assertEqual((again["attempt"], again["chaos"]), (1, crash["chaos"]))

    def test_attempts_end_with_the_same_crash_not_with_another(self):
        script = ("echo run >> runs; case $(wc -l < runs) in 2) exec ./program;; 3 | 4) kill -ABRT $$;; 6) exec ./program;; esac")
        crash, _ = self.crash(["sh", "-c", script], "--repeat", "2")
        said = self.repro()
        self.assertIn("came back in 1 of 4 attempts", said)
        self.assertRegex(said, r"another crash \(fingerprint \w+\) in 2 of 4 attempts")


harness.main()
