#!/usr/bin/python3
"""summarize_results.py on the XML that CTest 3.25 writes for each way in which a test can end."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(__file__).with_name("summarize_results.py")

GTEST_OUTPUT = """Running main() from ./googletest/src/gtest_main.cc
[==========] Running 5 tests from 1 test suite.
[ RUN      ] Suite.Passes
[       OK ] Suite.Passes (0 ms)
[ RUN      ] Suite.Skips
file.cpp:30: Skipped
needs root

[  SKIPPED ] Suite.Skips (0 ms)
[ RUN      ] Suite.SkipsToo
file.cpp:40: Skipped
needs root

[  SKIPPED ] Suite.SkipsToo (0 ms)
[ RUN      ] Suite/Param.Fails/1
file.cpp:50: Failure
[  FAILED  ] Suite/Param.Fails/1, where GetParam() = 4 (1 ms)
{end}
[  PASSED  ] 1 test.
[  SKIPPED ] 2 tests, listed below:
[  SKIPPED ] Suite.Skips
[  FAILED  ] 1 test, listed below:
[  FAILED  ] Suite/Param.Fails/1, where GetParam() = 4
"""


def case(name, status, output="", inside=""):
    return f'<testcase name="{name}" status="{status}">{inside}<system-out>{output}</system-out></testcase>'


def skipped(message):
    return f'<skipped message="{message}"/>'


class Summary(unittest.TestCase):
    def run_on(self, *cases):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as junit:
            junit.write("<testsuite>" + "".join(cases) + "</testsuite>")
            junit.flush()
            process = subprocess.run([sys.executable, PROGRAM, junit.name], capture_output=True, text=True)
        self.assertEqual(process.stderr, "")
        return process.returncode, process.stdout.splitlines()

    def test_everything_passed(self):
        self.assertEqual(self.run_on(case("a", "run"), case("b", "run")), (0, ["2 passed, 0 failed, 0 skipped"]))

    def test_nothing_ran(self):
        self.assertEqual(self.run_on(), (1, ["0 passed, 0 failed, 0 skipped"]))

    def test_skips_are_told_with_their_reason(self):
        output = "noise\nSKIPPED: no cgroup2 file system\nmore noise\n"
        code = skipped("SKIP_RETURN_CODE=77")
        status, lines = self.run_on(case("a", "run"), case("b", "notrun", output, code), case("c", "notrun", output, code),
                                    case("d", "disabled"))
        self.assertEqual(status, 0)
        self.assertEqual(lines, ["skipped 1: disabled (d)", "skipped 2: no cgroup2 file system (b, c)",
                                 "1 passed, 0 failed, 3 skipped"])

    def test_what_could_not_run_has_failed(self):
        status, lines = self.run_on(case("a", "run"), case("b", "notrun", "", skipped("Unable to find executable")),
                                    case("c", "notrun", "", skipped("Fixture dependency failed")))
        self.assertEqual(status, 1)
        self.assertEqual(lines, ["failed: b (Unable to find executable)", "failed: c (Fixture dependency failed)",
                                 "1 passed, 2 failed, 0 skipped"])

    def test_googletest_programs_are_counted_test_by_test(self):
        status, lines = self.run_on(case("unit", "fail", GTEST_OUTPUT.format(end="")))
        self.assertEqual(status, 1)
        self.assertEqual(lines, ["failed: unit: Suite/Param.Fails/1",
                                 "skipped 2: needs root (unit: Suite.Skips, unit: Suite.SkipsToo)",
                                 "1 passed, 1 failed, 2 skipped"])

    def test_a_googletest_program_that_died_has_failed(self):
        output = GTEST_OUTPUT.split("[ RUN      ] Suite/Param")[0] + "[ RUN      ] Suite.Dies\n"
        status, lines = self.run_on(case("unit", "fail", output))
        self.assertEqual(status, 1)
        self.assertIn("failed: unit: Suite.Dies (did not come to its end)", lines)

    def test_a_googletest_program_that_failed_after_its_tests(self):
        output = GTEST_OUTPUT.split("[ RUN      ] Suite.Skips")[0]
        status, lines = self.run_on(case("unit", "fail", output))
        self.assertEqual(status, 1)
        self.assertIn("1 passed, 1 failed, 0 skipped", lines)


if __name__ == "__main__":
    unittest.main()
