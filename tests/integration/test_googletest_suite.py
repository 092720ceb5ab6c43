"""Real input: GoogleTest's own test suite, whose death tests kill dozens of processes.

    test_googletest_suite.py build   configures and builds it below the build folder; does nothing the second time
    test_googletest_suite.py         runs it bare, wrapped, wrapped with strace(1) as an independent witness, and with a
                                     write through null in one of its tests

All that dies in it does so on purpose, except for that one.

The witness: strace follows every process of the suite and writes "+++ killed by SIGSEGV +++" for each that dies of a
signal. It learns that from ptrace(2), the probe from tracepoints and a ring buffer, so what both say is right. ptrace
stops a process before the signal is delivered; after that the delivery takes its usual way through the kernel.
"""

import collections
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

SOURCE = pathlib.Path("/usr/src/googletest")
SUITE = harness.BUILD / "googletest-suite"
CORE_SIGNALS = {"SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGXCPU", "SIGXFSZ",
                "SIGSYS"}
DEATHS = 76  # of version 1.12.1
# Where the null write goes: its program has death tests, too.
INJECTED = "googletest-test-part-test"
INJECTED_AT = "TEST_F(TestPartResultTest, ConstructorWorks) {\n"
NULL_WRITE = "  *static_cast<int* volatile>(nullptr) = 42;\n"
CTEST = ["ctest", "--test-dir", str(SUITE), "-j2"]


def build():
    if not SOURCE.is_dir():
        harness.skip(f"{SOURCE} is missing (Debian package googletest)")
    if not (SUITE / "build.ninja").exists():
        subprocess.run(["cmake", "-S", SOURCE, "-B", SUITE, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                        "-Dgtest_build_tests=ON", "-Dgmock_build_tests=ON"], check=True)
    subprocess.run(["ninja", "-C", SUITE, "-j2"], check=True)


def build_injected(folder):
    """INJECTED with a write through null in one of its tests, and a build folder whose ctest runs that instead."""
    text = (SOURCE / "googletest" / "test" / f"{INJECTED}.cc").read_text()
    if INJECTED_AT not in text:
        raise AssertionError(f"{INJECTED}.cc of this version has no {INJECTED_AT.strip()}")
    source, program = folder / f"{INJECTED}.cc", folder / INJECTED
    source.write_text(text.replace(INJECTED_AT, INJECTED_AT + NULL_WRITE))
    include = SOURCE / "googletest"
    subprocess.run(["g++", "-std=c++14", "-g", f"-I{include}", f"-I{include / 'include'}", source, "-o", program,
                    SUITE / "lib" / "libgtest_main.a", SUITE / "lib" / "libgtest.a", "-pthread"], check=True)
    tests = folder / "tests"
    for original in SUITE.glob("**/CTestTestfile.cmake"):
        copy = tests / original.relative_to(SUITE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(original.read_text().replace(f'"{SUITE}/googletest/{INJECTED}"', f'"{program}"'))
    return ["ctest", "--test-dir", str(tests), "-j2"], program


def results(junit):
    """What ctest says of each test: name -> run, fail, notrun ..."""
    root = xml.etree.ElementTree.parse(junit).getroot()
    return {case.get("name"): case.get("status") for case in root.iter("testcase")}


def deaths_seen_by_strace(log):
    """(pid, signal) of each process, not thread, that was killed by a core signal."""
    threads = set()
    flags = {}  # of the clone call that a thread is in
    deaths = []
    for line in log.read_text(errors="replace").splitlines():
        tid, _, rest = line.partition(" ")
        rest = rest.lstrip()
        if re.match(r"(clone|clone3|fork|vfork)\(", rest):
            flags[tid] = rest
        made = re.match(r"(?:<\.\.\. )?(?:clone|clone3|fork|vfork)\b.*\) += (\d+)$", rest)
        if made:
            child = made.group(1)
            # a number can come back: what was a thread may be a process now
            threads.discard(child)
            if "CLONE_THREAD" in flags.get(tid, ""):
                threads.add(child)
        killed = re.match(r"\+\+\+ killed by (SIG\w+)", rest)
        if killed and killed.group(1) in CORE_SIGNALS and tid not in threads:
            deaths.append((int(tid), killed.group(1)))
    return deaths


class GoogleTestSuite(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not (SUITE / "build.ninja").exists():
            raise unittest.SkipTest(f"{SUITE} has not been built")
        cls.folder = cls.enterClassContext(harness.TemporaryFolder())
        junit = cls.folder / "bare.xml"
        cls.bare_status = subprocess.run([*CTEST, "--output-junit", junit], stdout=subprocess.DEVNULL).returncode
        cls.bare_results = results(junit)

    def wrapped(self, command, junit, status=None, also=None):
        """Runs under the wrapper; returns the report after the checks that hold for every run. `also`: results that are
        others than without us."""
        outcome = harness.run([*command, "--output-junit", junit], self.folder)
        self.assertEqual(outcome.status, self.bare_status if status is None else status, outcome.stderr)
        self.assertEqual(results(junit), {**self.bare_results, **(also or {})})
        self.outcome = outcome
        report = outcome.report()
        harness.validate(report)
        health = report["collector"]["health"]
        self.assertEqual((report["counts"]["lost"], health["lost"], health["truncated"]), (0, 0, 0))
        for crash in report["crashes"]:
            frames = harness.flatten(harness.crashed_thread(crash))
            self.assertTrue([f for f in frames if f.get("function") and f.get("file") and f.get("line")],
                            f"{crash['id']} has no frame with function, file and line")
        return report

    def test_same_results(self):
        report = self.wrapped(CTEST, self.folder / "wrapped.xml")
        print(f"\n{len(self.bare_results)} tests, ctest status {self.bare_status}, "
              f"{len(report['crashes'])} crashes, {report['counts']['unique']} different", flush=True)
        self.assert_all_on_purpose(report["crashes"])
        self.assertIn(f"0 crashes and {DEATHS} deaths on purpose", self.outcome.stderr)
        self.assertEqual(self.errors(), [])

    def assert_all_on_purpose(self, crashes):
        self.assertEqual([(c["id"], c["soft_errors"]) for c in crashes if not c["crash_info"]["expected"]], [])
        self.assertEqual(len(crashes), DEATHS)
        for crash in crashes:
            self.assertTrue(crash["crash_info"]["expected_reason"], crash["id"])
            self.assertEqual(crash["test"]["runner"], "ctest", crash["id"])
            self.assertIn(crash["test"]["runner_name"], self.bare_results)

    def errors(self):
        """(class, test) of every testcase of our own file with an error."""
        root = xml.etree.ElementTree.parse(self.outcome.output_dir / "junit.xml").getroot()
        return [(case.get("classname"), case.get("name")) for case in root.iter("testcase")
                if case.find("error") is not None]

    def test_one_real_crash_among_them(self):
        if not shutil.which("g++"):
            self.skipTest("g++ is not installed")
        with harness.TemporaryFolder() as folder:
            command, program = build_injected(folder)
            report = self.wrapped(command, self.folder / "injected.xml", status=8, also={INJECTED: "fail"})
        real = [crash for crash in report["crashes"] if crash["process"].get("executable", {}).get("path") == str(program)
                and not crash["crash_info"]["expected"]]
        self.assertEqual(len(real), 1)
        self.assert_all_on_purpose([crash for crash in report["crashes"] if crash is not real[0]])
        self.assertEqual(self.errors(), [("TestPartResultTest", "ConstructorWorks")])
        self.assertEqual(real[0]["crash_info"]["signal"]["name"], "SIGSEGV")
        self.assertEqual(real[0]["test"]["runner_name"], INJECTED)

    def test_every_death_that_strace_saw(self):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        log = self.folder / "strace.log"
        witness = ["strace", "-f", "-o", str(log), "-e", "trace=clone,clone3,fork,vfork",
                   "-e", "signal=" + ",".join(sorted(CORE_SIGNALS))]
        report = self.wrapped([*witness, *CTEST], self.folder / "witnessed.xml")
        seen = collections.Counter(deaths_seen_by_strace(log))
        reported = collections.Counter(
            (crash["process"]["pid"], crash["crash_info"]["signal"]["name"]) for crash in report["crashes"])
        signals = collections.Counter(name for _, name in seen.elements())
        print(f"\nstrace saw {seen.total()} processes die: {dict(signals)}; reported: {reported.total()}", flush=True)
        self.assertEqual(sorted((seen - reported).elements()), [], "lost")
        self.assertEqual(sorted((reported - seen).elements()), [], "invented")
        self.assertGreater(seen.total(), 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["build"]:
        build()
    else:
        harness.main()
