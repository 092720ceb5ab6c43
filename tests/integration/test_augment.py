"""The JUnit files of real test frameworks after a crash, compared with augment/*.xml test by test, and read by others.

    test_augment.py            runs the suites of augment/ under the wrapper
    test_augment.py --write    writes what is seen into augment/*.xml, to be read before it is committed

Times are masked, and of each <error> of ours the first line is compared: its stack is the business of other tests.
"""

import difflib
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness
import junit_rules

HERE = pathlib.Path(__file__).resolve().parent / "augment"
PROGRAMS = harness.BUILD / "tests" / "integration" / "augment"
WRITE = "--write" in sys.argv
ORIGINAL = ".crashcrawler-orig"
MASKED = ("time", "timestamp", "hostname")
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider"]
PYTEST_FOLDER = pathlib.Path("/usr/lib/python3/dist-packages")
TIMED_OUT = 124


def program(suite):
    path = PROGRAMS / f"augment_{suite}"
    if not path.exists():
        raise unittest.SkipTest(f"{suite} was not installed when the tests were built")
    return path


def require_python(module):
    if not (PYTEST_FOLDER / module).exists():
        raise unittest.SkipTest(f"python3-{module} is not installed")


def masked(path, folder):
    """The file as lines that are the same every time."""
    root = xml.etree.ElementTree.fromstring(path.read_bytes())
    for element in root.iter():
        for name in MASKED:
            if name in element.attrib:
                element.set(name, "*")
        if element.tag == "error" and (element.text or "").split("\n", 1)[0] == element.get("message"):
            # ours; behind "in" come places, which depend on where this lies
            element.set("message", element.get("message").partition(", in ")[0])
            element.text = "the same, and its stack"
        if element.tag == "system-out" and (element.text or "").startswith("[[ATTACHMENT|"):
            element.text = "\n".join(re.findall(r"\[\[ATTACHMENT\|.*\]\]", element.text))
        elif element.tag in ("system-out", "system-err"):
            element.text = "*"
    xml.etree.ElementTree.indent(root)
    text = xml.etree.ElementTree.tostring(root, encoding="unicode") + "\n"
    for place, name in ((str(folder), "FOLDER"), (str(PROGRAMS), "PROGRAMS"), (str(HERE), "HERE")):
        text = text.replace(place, name)
    text = re.sub(r"[^\s\"]*/(\w+_suite\.cpp)", r"\1", text)
    text = re.sub(r"python3\.\d+", "python3", text)
    return re.sub(r"\(pid \d+, uid \d+\)", "(pid *, uid *)", text)


class Augment(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())

    def run_suite(self, *command, options=(), environment=None):
        outcome = harness.run(command, self.folder, *options, env={**os.environ, **(environment or {})})
        self.report = outcome.report()
        harness.validate(self.report)
        self.real = [crash for crash in self.report["crashes"] if not crash["crash_info"]["expected"]]
        if self.real and not any("test" in crash for crash in self.report["crashes"]):
            self.skipTest("this build does not know which test a crash was in")
        return outcome

    def assert_file(self, name, expected, counts_wrong=()):
        """`name` is as `expected` in the tree, and every reader takes it. `counts_wrong`: what its framework gets wrong."""
        path = self.folder / name
        self.assertTrue(path.exists(), f"{name} was not written; {self.report.get('soft_errors')}")
        seen = masked(path, self.folder)
        wanted = HERE / expected
        if WRITE:
            wanted.write_text(seen)
        self.assertEqual(seen.splitlines(), wanted.read_text().splitlines())
        self.assertEqual(self.report.get("soft_errors", []), [])
        self.assert_read(path, ours=False, counts_wrong=counts_wrong)

    def assert_read(self, path, ours, counts_wrong=()):
        broken = junit_rules.violations(path, ours=ours)
        self.assertEqual([rule for rule in broken if not any(words in rule for words in counts_wrong)], [])
        if importlib.util.find_spec("junitparser") is None:
            self.skipTest("python3-junitparser is not installed")
        import junitparser
        read = junitparser.JUnitXml.fromfile(str(path))
        suites = [read] if isinstance(read, junitparser.TestSuite) else list(read)
        results = [result for suite in suites for case in suite for result in case.result]
        errors = [result for result in results if isinstance(result, junitparser.Error)]
        written = xml.etree.ElementTree.parse(path).getroot().iter("error")
        self.assertEqual([error.message for error in errors], [error.get("message") for error in written])

    def test_ctest(self):
        gtest = program("gtest")
        (self.folder / "CTestTestfile.cmake").write_text(f"""
add_test(passes {gtest} --gtest_filter=Score.Passes)
add_test(fails {gtest} --gtest_filter=Score.Fails)
add_test(crashes {gtest} --gtest_filter=Score.Crashes)
add_test(whole_program {gtest} --gtest_filter=-Hang.*:Score.Dies --gtest_output=xml:whole.xml)
add_test(behind_a_shell sh -c "{gtest} --gtest_color=no --gtest_filter=Score.Crashes; true")
add_test(hangs {gtest} --gtest_filter=Hang.Hangs)
set_tests_properties(hangs PROPERTIES TIMEOUT 1)
add_test(dies_on_purpose {gtest} --gtest_filter=Score.Dies)
add_test(is_not_there {self.folder}/nowhere)
""")
        self.run_suite("ctest", "--output-junit", "ctest.xml")
        self.assert_file("ctest.xml", "ctest.xml")
        self.assert_file("whole.xml", "gtest_in_ctest.xml")
        original = (self.folder / ("ctest.xml" + ORIGINAL)).read_text()
        self.assertEqual(original.count('<failure message=""/>'), 4)
        # nothing else has changed: of the original no line is missing but the empty failures and their counter
        mended = re.sub(r"\[\[ATTACHMENT\|.*\]\]\n", "", (self.folder / "ctest.xml").read_text())
        lines = difflib.ndiff(original.splitlines(), mended.splitlines())
        missing = sorted(line[2:] for line in lines if line.startswith("- "))
        self.assertEqual(missing, ['\t\t<failure message=""/>'] * 3 + ['\tfailures="4"'])

    def test_ctest_that_is_ended(self):
        gtest = program("gtest")
        (self.folder / "CTestTestfile.cmake").write_text(f"""
add_test(passes {gtest} --gtest_filter=Score.Passes)
add_test(hangs {gtest} --gtest_filter=Hang.Hangs)
add_test(is_never_reached {gtest} --gtest_filter=Score.IsNeverReached)
""")
        outcome = self.run_suite("ctest", "--output-junit", "ended.xml", options=("--timeout=3s",))
        self.assertEqual(outcome.status, TIMED_OUT)
        self.assert_file("ended.xml", "ctest_that_is_ended.xml")

    def test_gtest(self):
        self.run_suite(program("gtest"), "--gtest_filter=-Hang.*", "--gtest_output=xml:reports/")
        self.assert_file("reports/augment_gtest.xml", "gtest.xml")

    def test_gtest_by_environment(self):
        self.run_suite(program("gtest"), "--gtest_filter=Score.Crashes", environment={"GTEST_OUTPUT": "xml:e.xml"})
        self.assert_file("e.xml", "gtest_by_environment.xml")

    def test_gtest_that_hangs(self):
        outcome = self.run_suite(program("gtest"), "--gtest_filter=Hang.*", "--gtest_output=xml:h.xml",
                                 options=("--timeout=2s",))
        self.assertEqual(outcome.status, TIMED_OUT)
        self.assert_file("h.xml", "gtest_that_hangs.xml")

    def test_a_death_on_purpose_changes_nothing(self):
        self.run_suite(program("gtest"), "--gtest_filter=Score.Dies", "--gtest_output=xml:d.xml")
        self.assertEqual(self.real, [])
        self.assertTrue((self.folder / "d.xml").exists())
        self.assertFalse((self.folder / ("d.xml" + ORIGINAL)).exists())

    def test_no_augment_junit(self):
        self.run_suite(program("gtest"), "--gtest_filter=Score.Crashes", "--gtest_output=xml:n.xml",
                       options=("--no-augment-junit",))
        self.assertFalse((self.folder / "n.xml").exists())

    def test_catch2(self):
        self.run_suite(program("catch2"), "-r", "junit", "-o", "c.xml")
        self.assert_file("c.xml", "catch2.xml", counts_wrong=(
            "a suite without a name", "failures=2, there are 1", "errors=0, there are 1"))

    def test_catch2_in_a_section(self):
        self.run_suite(program("catch2"), "-r", "junit", "-o", "s.xml", "[.section]")
        self.assert_file("s.xml", "catch2_in_a_section.xml", counts_wrong=(
            "a suite without a name", "failures=1, there are 0", "errors=0, there are 1"))

    def test_doctest(self):
        self.run_suite(program("doctest"), "-r=junit", "-o=d.xml")
        self.assert_file("d.xml", "doctest.xml", counts_wrong=("testsuite says tests=2, there are 3",))

    def test_boost_test(self):
        self.run_suite(program("boost"), "--catch_system_errors=no", "--logger=JUNIT,all,b.xml")
        self.assert_file("b.xml", "boost_test.xml")
        self.assertEqual((self.folder / ("b.xml" + ORIGINAL)).read_bytes(), b"")

    def test_pytest(self):
        require_python("pytest")
        shutil.copy(HERE / "test_score.py", self.folder)
        self.run_suite(*PYTEST, "--junitxml=p.xml", "test_score.py")
        self.assert_file("p.xml", "pytest.xml")

    def test_pytest_xdist(self):
        require_python("xdist")
        shutil.copy(HERE / "test_score.py", self.folder)
        self.run_suite(*PYTEST, "-n1", "--junitxml=x.xml", "test_score.py")
        self.assert_file("x.xml", "pytest_xdist.xml")

    def test_wrong_input_is_left_and_said(self):
        """By a file that the command writes beside its crash; the kinds of wrong input are those of unit_augment."""
        broken = "<testsuite name='a'><testcase name='Crashes' classname='Score'>"
        self.run_suite("sh", "-c", f'printf %s "{broken}" >w.xml; {program("gtest")} --gtest_filter=Score.Crashes; true',
                       options=("--augment-junit=w.xml",))
        self.assertEqual((self.folder / "w.xml").read_text(), broken)
        self.assertIn("w.xml was left as it is: it is not well-formed XML", self.report["soft_errors"][0])
        self.assert_read(self.folder / "out" / "junit.xml", ours=True)

    def test_our_own_file(self):
        gtest = program("gtest")
        self.run_suite("sh", "-c", f"{gtest} --gtest_filter=Score.Crashes; {gtest} --gtest_filter=Score.Dies; true")
        self.assert_read(self.folder / "out" / "junit.xml", ours=True)

    def test_the_strict_profile_validates(self):
        if shutil.which("xmllint") is None:
            self.skipTest("xmllint is not installed (libxml2-utils)")
        gtest = program("gtest")
        crash = f"{gtest} --gtest_filter=Score.Crashes"
        for command in ("true", crash, f"sleep 60 & {crash}"):
            for profile, valid in (("strict", True), ("full", False)):
                harness.run(["sh", "-c", command], self.folder, f"--junit-profile={profile}", "--leftovers=kill",
                            "--linger=0s")
                check = subprocess.run(["xmllint", "--noout", "--schema", harness.SOURCE / "tests/support/junit-10.xsd",
                                        self.folder / "out" / "junit.xml"], capture_output=True, text=True)
                self.assertEqual(check.returncode == 0, valid, check.stderr)


if __name__ == "__main__":
    sys.argv = [word for word in sys.argv if word != "--write"]
    harness.main()
