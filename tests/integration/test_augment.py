"""The JUnit files of other runners beside their usual case, which is tests/frameworks/test_matrix.py: when they stay as they
are, options, names that are hostile, and who can read them.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness
import junit_rules

GTEST = harness.BUILD / "tests" / "frameworks" / "gtest" / "score_test"
ORIGINAL = ".crashcrawler-orig"
CRASH = "--gtest_filter=Score.is_saved"


class Augment(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())

    def run_suite(self, *command, options=(), environment=None):
        outcome = harness.run(command, self.folder, *options, env={**os.environ, **(environment or {})})
        self.report = outcome.report()
        harness.validate(self.report)
        self.real = [crash for crash in self.report["crashes"] if not crash["crash_info"]["expected"]]
        return outcome

    def cases(self, name):
        """(class, name) -> its states."""
        root = xml.etree.ElementTree.parse(self.folder / name).getroot()
        return {(case.get("classname"), case.get("name")):
                [child.tag for child in case if child.tag in junit_rules.VERDICTS] for case in root.iter("testcase")}

    def test_gtest_by_environment(self):
        self.run_suite(GTEST, CRASH, environment={"GTEST_OUTPUT": "xml:reports/"})
        self.assertEqual(self.cases("reports/score_test.xml"), {("Score", "is_saved"): ["error"]})
        self.assertEqual(self.report.get("soft_errors", []), [])

    def test_a_death_on_purpose_changes_nothing(self):
        self.run_suite(GTEST, "--gtest_filter=Score.is_refused", "--gtest_output=xml:d.xml")
        self.assertEqual(self.real, [])
        self.assertTrue((self.folder / "d.xml").exists())
        self.assertFalse((self.folder / ("d.xml" + ORIGINAL)).exists())

    def test_no_augment_junit(self):
        self.run_suite(GTEST, CRASH, "--gtest_output=xml:n.xml", options=("--no-augment-junit",))
        self.assertFalse((self.folder / "n.xml").exists())

    def test_the_program_is_not_asked_for_its_tests(self):
        """By --no-list-tests, and where its list would be of other tests."""
        tests = "--gtest_filter=Score.is_saved:Score.is_never_reached"
        for arguments, options, environment in (((), ("--no-list-tests",), {}), (("--gtest_shuffle",), (), {}),
                                                ((), (), {"GTEST_TOTAL_SHARDS": "1", "GTEST_SHARD_INDEX": "0"})):
            with self.subTest((arguments, options, environment)):
                (self.folder / "l.xml").unlink(missing_ok=True)
                self.run_suite(GTEST, tests, "--gtest_output=xml:l.xml", *arguments, options=options,
                               environment=environment)
                self.assertEqual(self.cases("l.xml"), {("Score", "is_saved"): ["error"]})

    def test_a_program_that_does_not_answer(self):
        """It is asked for a few seconds; the file has what is known without."""
        program = self.folder / "slow_test"
        shutil.copy(GTEST, program)
        self.run_suite("sh", "-c", f"{program} {CRASH} --gtest_output=xml:s.xml; rm {program}; "
                                   f"cp {shutil.which('sleep')} {program}")
        self.assertEqual(self.cases("s.xml"), {("Score", "is_saved"): ["error"]})
        self.assertIn("which tests slow_test never began is not known: asked for its tests, its file has been replaced",
                      self.report["soft_errors"])

    def test_wrong_input_is_left_and_said(self):
        """Byte for byte, by a file that the command puts there before its crash; ours is complete all the same."""
        good = "<testsuite name='a'><testcase name='is_saved' classname='Score'/></testsuite>"
        kinds = {
            "not well-formed": good[:50],
            "is empty": "",
            "larger than 32 MiB": good + " " * (100 << 20),
            "in another encoding": "<?xml version='1.0' encoding='iso-8859-1'?>" + good,
            "is in UTF-16": good.encode("utf-16"),
            "XML namespaces": good.replace("name='a'", "name='a' xmlns='urn:x'"),
            "test suites inside": f"<testsuites><testsuite name='b'>{good}</testsuite></testsuites>",
            "2 cases of the name is_saved": good.replace("<testcase name='is_saved' classname='Score'/>",
                                                         "<testcase name='is_saved' classname='Score'/>" * 2),
            "(line 1: junk after document element)": good + good,  # two processes, one after the other
            "may only be read": good,
            "is a symbolic link": good,
            "is older than this run": good,
        }
        file, source = self.folder / "w.xml", self.folder / "source"
        for words, text in kinds.items():
            with self.subTest(words):
                for name in (file, source, self.folder / ("w.xml" + ORIGINAL)):
                    name.unlink(missing_ok=True)
                source.write_bytes(text if isinstance(text, bytes) else text.encode())
                put = {"may only be read": "cp source w.xml; chmod 444 w.xml", "is a symbolic link": "ln -s source w.xml",
                       "is older than this run": "cp source w.xml; touch -d 2001-01-01 w.xml"}.get(words, "cp source w.xml")
                output = "xml:w.xml" if "older" in words else "xml:other.xml"
                self.run_suite("sh", "-c", f"{put}; {GTEST} {CRASH} --gtest_output={output}; true",
                               options=("--augment-junit=w.xml",))
                self.assertEqual(file.read_bytes(), source.read_bytes())
                self.assertFalse((self.folder / ("w.xml" + ORIGINAL)).exists())
                self.assertIn(words, " ".join(self.report["soft_errors"]))
                (self.folder / "other.xml").unlink(missing_ok=True)
                (self.folder / ("other.xml" + ORIGINAL)).unlink(missing_ok=True)
                own = self.folder / "out" / "junit.xml"
                self.assertEqual(junit_rules.violations(own, ours=True, folder=self.folder), [])
                self.assertEqual(self.cases("out/junit.xml"), {("Score", "is_saved"): ["error"]})

    def test_hostile_names(self):
        """Of tests, in what no XML may hold or nobody wants to read: what we write stays a file that everybody can read."""
        if shutil.which("bash") is None:
            self.skipTest("bash is not installed")
        names = {"control": "a\x01\x08b", "colour": "\x1b[31mred\x1b[0m", "cdata": "]]>", "markup": "<&\"'>", "lines": "a\nb",
                 "no_character": "\uffff\ufffe", "long": "x" * 100_000, "bytes": b"\xff\xfe\xc3"}
        # looks like pytest, which writes its file at the end and keeps the name of its test in a variable
        script = f'exec -a pytest {GTEST} {CRASH} --junitxml=h.xml'
        for kind, name in names.items():
            with self.subTest(kind):
                (self.folder / "h.xml").unlink(missing_ok=True)
                value = b"t/test_a.py::C::test_" + (name if isinstance(name, bytes) else name.encode()) + b" (call)"
                outcome = harness.run(["bash", "-c", script], self.folder, "--no-list-tests",
                                      env={**os.environb, b"PYTEST_CURRENT_TEST": value})
                self.assertEqual(outcome.status, 139)
                harness.validate(outcome.report())
                for path in (self.folder / "out" / "junit.xml", self.folder / "h.xml"):
                    self.assertEqual(junit_rules.violations(path, ours=False), [], path.name)
                ((classname, shown), states), = self.cases("h.xml").items()
                self.assertEqual((classname, states), ("t.test_a.C", ["error"]))
                self.assertTrue(shown.startswith("test_"), shown)
                self.assertLess(len(shown), 2000)
                self.assertNotRegex(shown, r"[\x00-\x1f]")

    def test_the_strict_profile_validates(self):
        if shutil.which("xmllint") is None:
            self.skipTest("xmllint is not installed (libxml2-utils)")
        for command in ("true", f"{GTEST} {CRASH}", f"sleep 60 & {GTEST} {CRASH}"):
            for profile, valid in (("strict", True), ("full", False)):
                harness.run(["sh", "-c", command], self.folder, f"--junit-profile={profile}", "--leftovers=kill",
                            "--linger=0s")
                check = subprocess.run(["xmllint", "--noout", "--schema", harness.SOURCE / "tests/support/junit-10.xsd",
                                        self.folder / "out" / "junit.xml"], capture_output=True, text=True)
                self.assertEqual(check.returncode == 0, valid, check.stderr)


if __name__ == "__main__":
    harness.main()
