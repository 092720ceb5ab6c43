"""Real input: GoogleTest's own test suite, whose death tests kill dozens of processes.

    test_googletest_suite.py build   configures and builds it below the build folder; does nothing the second time
    test_googletest_suite.py         runs it bare, wrapped, and wrapped with strace(1) as an independent witness

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
CTEST = ["ctest", "--test-dir", str(SUITE), "-j2"]


def build():
    if not SOURCE.is_dir():
        harness.skip(f"{SOURCE} is missing (Debian package googletest)")
    if not (SUITE / "build.ninja").exists():
        subprocess.run(["cmake", "-S", SOURCE, "-B", SUITE, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                        "-Dgtest_build_tests=ON", "-Dgmock_build_tests=ON"], check=True)
    subprocess.run(["ninja", "-C", SUITE, "-j2"], check=True)


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

    def wrapped(self, command, junit):
        """Runs under the wrapper; returns the report after the checks that hold for every run."""
        outcome = harness.run([*command, "--output-junit", junit], self.folder, "--fail-on=never")
        self.assertEqual(outcome.status, self.bare_status, outcome.stderr)
        self.assertEqual(results(junit), self.bare_results)
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
        self.assertGreater(len(report["crashes"]), 0)

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
