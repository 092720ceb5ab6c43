"""Which test was running when a process died, and whether it was to die: GoogleTest in all its ways to name a test, ctest
above it and alone, rules of the user. The other frameworks are in tests/frameworks.

    test_which_test.py SUITE VICTIM   the program of tests/frameworks/gtest, and one that writes through null
"""

import os
import pathlib
import shutil
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

SOURCE = harness.SOURCE / "tests" / "frameworks" / "gtest" / "score_test.cpp"


def told(crash):
    test = crash.get("test", {})
    return test.get("suite"), test.get("name")


def sources(crash):
    return [candidate["source"] for candidate in crash["test"]["candidates"]]


class WhichTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())

    def run_wrapped(self, command, *options, **arguments):
        outcome = harness.run(command, self.folder, *options, **arguments)
        report = outcome.report()
        harness.validate(report)
        return outcome, report

    def errors(self, outcome):
        root = xml.etree.ElementTree.parse(outcome.output_dir / "junit.xml").getroot()
        return [(case.get("classname"), case.get("name")) for case in root.iter("testcase")
                if case.find("error") is not None]

    def one(self, command, *options, **arguments):
        outcome, report = self.run_wrapped(command, *options, **arguments)
        self.assertEqual(len(report["crashes"]), 1, outcome)
        return outcome, report["crashes"][0]

    def write_tests(self, text):
        (self.folder / "CTestTestfile.cmake").write_text(text)


class GoogleTest(WhichTest):
    def test_by_its_frames(self):
        for pattern, suite, name in (("Plain.Crash*", "Plain", "Crashes"),
                                     ("Game_Score.is_*", "Game_Score", "is_not_saved"),
                                     ("Inst/Levels.*", "Levels", "CrashOnTheSecond"),
                                     ("Typed/*", "Typed", "Crashes"),
                                     ("My/Pattern/*", "Pattern", "Crashes"),
                                     ("Threads.*", "Threads", "CrashInAnother")):
            with self.subTest(pattern):
                outcome, crash = self.one([SUITE, f"--gtest_filter={pattern}"])
                self.assertEqual(told(crash), (suite, name))
                self.assertEqual(crash["test"]["framework"], "googletest")
                self.assertEqual(crash["test"]["file"], str(SOURCE))
                line = SOURCE.read_text().splitlines()[crash["test"]["line"] - 1]
                self.assertRegex(line, rf"TEST\w*\({suite}, {name}\)")
                self.assertEqual(self.errors(outcome), [(suite, name)])
                self.assertIn(f"in test {suite}.{name}", outcome.stderr)
                self.assertEqual(outcome.status, 139)

    def test_by_its_filter(self):
        for name in ("Inst/Levels.CrashOnTheSecond/1", "Typed/0.Crashes", "My/Pattern/0.Crashes", "Plain.Crashes"):
            with self.subTest(name):
                _, crash = self.one([SUITE, f"--gtest_filter={name}"])
                self.assertEqual(".".join(told(crash)), name)
                self.assertEqual(sources(crash), ["argument --gtest_filter", "frame", "executable"])
                self.assertEqual(crash["test"]["file"], str(SOURCE))

    def test_named_by_the_user(self):
        _, crash = self.one(["sh", "-c", f"CRASHCRAWLER_TEST_NAME=mine {SUITE} --gtest_filter=Plain.Crashes; true"])
        self.assertEqual(crash["test"]["name"], "mine")
        self.assertEqual(sources(crash)[0], "environment CRASHCRAWLER_TEST_NAME")

    def test_deaths_on_purpose(self):
        outcome, report = self.run_wrapped([SUITE, "--gtest_filter=Wanted.*"])
        self.assertEqual(outcome.status, 0, outcome)
        self.assertEqual(report["counts"]["expected"], 3)
        self.assertEqual(report["counts"]["unexpected"], 0)
        reasons = {told(crash)[1]: crash["crash_info"]["expected_reason"] for crash in report["crashes"]}
        for name, style, macro in (("Fast", "fast", "EXPECT_DEATH"), ("ThreadSafe", "threadsafe", "EXPECT_DEATH"),
                                   ("BySignal", "fast", "EXPECT_EXIT")):
            self.assertRegex(reasons[name], rf"^GoogleTest death test \({style} style\), in {macro} at score_test.cpp:\d+$")
        self.assertEqual(self.errors(outcome), [])
        self.assertIn("0 crashes and 3 deaths on purpose", outcome.stderr)

    def test_what_looks_like_it_and_is_a_crash(self):
        """(test, status of the program alone, deaths on purpose beside the crash)"""
        for name, status, wanted in (("AnotherSignal", 1, 0), ("BeforeTheStatement", 0, 0), ("ChildOfItsOwn", 0, 0),
                                     ("TheParentAfterIt", 139, 1)):
            with self.subTest(name):
                outcome, report = self.run_wrapped([SUITE, f"--gtest_filter=Unwanted.{name}"])
                self.assertEqual((report["counts"]["unexpected"], report["counts"]["expected"]), (1, wanted), outcome)
                self.assertEqual(self.errors(outcome), [("Unwanted", name)])
                self.assertEqual(outcome.status, status or harness.CRASH_BEHIND_SUCCESS, outcome)


@unittest.skipUnless(shutil.which("ctest"), "ctest is not installed")
class Ctest(WhichTest):
    def run_ctest(self, text, *arguments, options=(), command=("ctest",)):
        self.write_tests(text)
        return self.run_wrapped([*command, *arguments], *options)

    def test_above_googletest(self):
        _, report = self.run_ctest(f'add_test(levels "{SUITE}" "--gtest_filter=Inst/*")\n'
                                   f'add_test(other "{SUITE}" "--gtest_filter=Plain.*")\n')
        tests = {crash["test"]["runner_name"]: crash for crash in report["crashes"]}
        self.assertEqual(told(tests["levels"]), ("Inst/Levels", "CrashOnTheSecond/1"))
        self.assertEqual(sources(tests["levels"]), ["ctest", "frame", "output [ RUN ]", "executable"])
        self.assertEqual(told(tests["other"]), ("Plain", "Crashes"))

    def test_alone(self):
        """Two tests of one command are told apart by their folder; their log stays as the run has left it."""
        for name in ("one", "two"):
            (self.folder / name).mkdir()
        outcome, report = self.run_ctest(
            f'add_test(first "{VICTIM}")\nset_tests_properties(first PROPERTIES WORKING_DIRECTORY "{self.folder}/one")\n'
            f'add_test(second "{VICTIM}")\n'
            f'set_tests_properties(second PROPERTIES WORKING_DIRECTORY "{self.folder}/two")\n', "-j2")
        self.assertEqual(sorted(crash["test"]["name"] for crash in report["crashes"]), ["first", "second"])
        self.assertEqual({crash["test"]["framework"] for crash in report["crashes"]}, {"ctest"})
        self.assertEqual(sorted(self.errors(outcome)), [("ctest", "first"), ("ctest", "second")])
        self.assertIn("1/2 Test: ", (self.folder / "Testing" / "Temporary" / "LastTest.log").read_text())

    def test_behind_scripts(self):
        """The crash is of a grandchild, ctest is started by a shell, and the shells are content."""
        script = self.folder / "script"
        script.write_text(f"#!/bin/sh\n{VICTIM}\ntrue\n")
        script.chmod(0o755)
        build = self.folder / "build"
        build.mkdir()
        (build / "CTestTestfile.cmake").write_text(f'add_test(scripted "{script}")\n')
        outcome, crash = self.one(["sh", "-c", f"cd {build} && ctest; true"])
        self.assertEqual((crash["test"]["runner"], crash["test"]["runner_name"]), ("ctest", "scripted"))
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS)

    def test_that_start_the_program_of_another(self):
        """`a` is the program, `b` a shell that starts it and is content; `c` a bash that has become it, which could be `a`."""
        if shutil.which("bash") is None:
            self.skipTest("bash is not installed")
        a = f'add_test(a "{SUITE}" --gtest_filter=Plain.Crashes)\n'
        b = f'add_test(b sh -c "{SUITE} --gtest_filter=Plain.Crashes; true")\n'
        c = f'add_test(c bash -c "{SUITE} --gtest_filter=Plain.Crashes")\n'
        for tests, names in ((a + b, ["a", "b"]), (b, ["b"]), (c, ["c"]), (a + c, [None, None]), (a + b + c, [None, "b", None])):
            with self.subTest(names):
                outcome, report = self.run_ctest(tests)
                self.assertEqual([crash["test"].get("runner_name") for crash in report["crashes"]], names)
                self.assertEqual({told(crash) for crash in report["crashes"]}, {("Plain", "Crashes")})
                for crash in report["crashes"]:
                    if "runner_name" not in crash["test"]:
                        of_ctest = [(one["name"], one["source"]) for one in crash["test"]["candidates"]
                                    if one["source"].startswith("ctest")]
                        self.assertEqual(of_ctest, [("a", "ctest, one of 2 with this command"),
                                                    ("c", "ctest, one of 2 with this command")])

    def test_behind_env(self):
        """env(1) becomes what it starts, so nothing of it is left."""
        _, report = self.run_ctest(f'add_test(plain "{VICTIM}" 1)\nadd_test(wrapped env SOME=value "{VICTIM}" 2)\n')
        self.assertEqual([crash["test"]["runner_name"] for crash in report["crashes"]], ["plain", "wrapped"])

    def test_will_fail(self):
        """ctest takes the failure of a wrapper, but no signal of the test itself."""
        outcome, report = self.run_ctest(
            f'add_test(wrapped sh -c "{VICTIM}; exit 1")\nadd_test(direct "{VICTIM}")\n'
            "set_tests_properties(wrapped direct PROPERTIES WILL_FAIL TRUE)\n")
        reasons = {crash["test"]["name"]: crash["crash_info"].get("expected_reason") for crash in report["crashes"]}
        self.assertEqual(reasons, {"wrapped": "ctest wants the test wrapped to fail (WILL_FAIL)", "direct": None})
        self.assertEqual(self.errors(outcome), [("ctest", "direct")])

    def test_is_not_asked_when_it_was_not_there(self):
        """A folder with tests alone does not have ctest started."""
        self.write_tests('message(FATAL_ERROR "was read")\n')
        _, crash = self.one([VICTIM])
        self.assertEqual(sources(crash), ["executable"])

    def test_that_answers_nothing(self):
        """The files of the build folder are gone when the run is over."""
        self.write_tests(f'add_test(first sh -c "rm {self.folder}/CTestTestfile.cmake; {VICTIM}")\n')
        outcome, crash = self.one(["ctest"])
        self.assertNotIn("runner", crash["test"])
        self.assertIn("the build folder of ctest was not found", " ".join(outcome.report()["soft_errors"]))


class Rules(WhichTest):
    def test_a_rule_excuses(self):
        outcome, crash = self.one(["sh", "-c", f"{VICTIM}; true"], "--expect",
                                  f"exe={VICTIM} signal=SIGSEGV frame=*through_null*")
        self.assertEqual(outcome.status, 0)
        self.assertTrue(crash["crash_info"]["expected"])
        self.assertRegex(crash["crash_info"]["expected_reason"], "^rule --expect exe=")
        self.assertEqual([artifact["type"] for artifact in crash["artifacts"]], ["repro_script"], "and no core")

    def test_a_rule_from_a_file_that_does_not_fit(self):
        rules = self.folder / "rules"
        rules.write_text("# comment\nexe=*/nobody\n")
        outcome, crash = self.one(["sh", "-c", f"{VICTIM}; true"], "--expect-file", str(rules))
        self.assertFalse(crash["crash_info"]["expected"])
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS)
        self.assertIn(f"no death matched the rule {rules}:2: exe=*/nobody", outcome.stderr)

    def test_mistakes_are_refused_before_anything_runs(self):
        rules = self.folder / "rules"
        rules.write_text("exe=a\nwhat\n")
        for options, words in ((["--expect", "colour=red"], "'colour=red' at character 1 has an unknown key"),
                               (["--expect-file", str(rules)], f"{rules}:2: 'what' at character 1 has no ="),
                               (["--expect-file", "/nonexistent"], "/nonexistent")):
            with self.subTest(options):
                outcome = harness.run(["touch", "ran"], self.folder, *options)
                self.assertEqual(outcome.status, harness.HARNESS_FAILED)
                self.assertIn(words, outcome.stderr)
                self.assertFalse((self.folder / "ran").exists())


if __name__ == "__main__":
    SUITE, VICTIM = map(os.path.realpath, sys.argv[1:3])
    harness.main()
