"""What real test frameworks make of a crash, and what we make of it: the table of docs/frameworks.md.

    test_frameworks.py FRAMEWORK   runs its suite bare and wrapped; what is seen must be the table's rows
    test_frameworks.py --table     writes the rows that it sees into the table (ninja frameworks_table)

A Case says what is true of a run. Where our report says less, the case has a `gap`, in words, for the table; a gap that
is none any more fails, so the table can neither hide a fault nor keep an old one.
"""

import dataclasses
import functools
import itertools
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
sys.path.insert(0, str(harness.SOURCE / "tests" / "integration"))
import expectation

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = harness.BUILD / "tests" / "frameworks"
TABLE = harness.SOURCE / "docs" / "frameworks.md"
TABLE_HEAD = "|---|"
SHOWN_FRAMES = 4


@dataclasses.dataclass(frozen=True)
class Crash:
    """What a report must say. `frames`: functions on the crashed stack in this order; the first is its top."""
    kind: str
    frames: tuple
    signal: str = "SIGSEGV"
    followed_by: str | None = None
    test: tuple = (None, None, None)  # framework, suite and name of the test that was running

    def is_told_by(self, crash):
        info = crash["crash_info"]
        names = function_names(crash)
        remaining = iter(names)
        return (info["kind"] == self.kind and info["signal"]["name"] == self.signal and
                info.get("followed_by", {}).get("name") == self.followed_by and
                names[0] == self.frames[0] and all(name in remaining for name in self.frames))


@dataclasses.dataclass(frozen=True)
class Case:
    what: str
    command: list
    bare_status: int
    says: str | None  # of what it prints: what helps most, and is the same every time; None: nothing does
    truth: Crash | None = None
    junit: tuple = ()  # options with which it writes JUnit XML to junit.xml; none: it cannot
    gap: str = ""  # what our report should say and does not
    limit: str = ""  # what it does not say, and that is no fault
    environment: dict = dataclasses.field(default_factory=dict)
    faults: int = 0  # SIGSEGVs that it takes, by strace(1)
    same_until: str | None = None  # what it prints is the same every time up to here

    def comparable(self, text):
        """Times, process ids and addresses are others in each run."""
        if self.same_until:
            text = text.partition(self.same_until)[0]
        return re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "N", text)


@dataclasses.dataclass(frozen=True)
class Framework:
    name: str
    package: str
    version_parts: int
    needs: tuple  # files without which there is nothing to run
    cases: tuple

    def version(self):
        text = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", self.package], capture_output=True, text=True,
                              check=True).stdout
        return ".".join(re.match(r"(?:\d+:)?([\d.]*\d)", text)[1].split(".")[:self.version_parts])

    def missing(self):
        return [str(path) for path in self.needs if not path.exists()]


# --- what is true ----------------------------------------------------------------------------------------------------

OWN_FRAMES = ("write_through_null", "save_score", "finish_game")
SCORE_TEST = {name: PROGRAMS / name / "score_test"
              for name in ("gtest", "catch2", "doctest", "boost_test", "rust", "go")}
BOOST_TESTS = "--run_test=Score/is_the_best,is_saved"
BOOST_JUNIT = ("--logger=JUNIT,all,junit.xml",)
PYTEST_JUNIT = ("--junitxml=junit.xml",)
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={HERE / 'pytest'}",
          HERE / "pytest" / "test_score.py", "-k"]
PYTEST_SUITE = "test_score"
PYTEST_ENVIRONMENT = {"SCORE_LIBRARY": str(PROGRAMS / "pytest" / "libscore.so"),
                      "SCORE_PROGRAM": str(PROGRAMS / "pytest" / "score")}
JVM = ["/usr/bin/java", "-XX:TieredStopAtLevel=1", "-cp", PROGRAMS / "jvm"]
JVM_LIBRARY = PROGRAMS / "jvm" / "libscore.so"
NULL_WRITE = "a test writes through null"

FRAMEWORKS = {
    "gtest": Framework("GoogleTest", "libgtest-dev", 3, (SCORE_TEST["gtest"],), (
        Case(NULL_WRITE, [SCORE_TEST["gtest"], "--gtest_filter=Score.is_the_best:Score.is_saved"], 139, r"\[ RUN      \] Score.is_saved",
             Crash("signal", (*OWN_FRAMES, "Score_is_saved_Test::TestBody"),
                   test=("googletest", "Score", "is_saved")), ("--gtest_output=xml:junit.xml",)),
    )),
    "catch2": Framework("Catch2", "catch2", 3, (SCORE_TEST["catch2"],), (
        Case(NULL_WRITE, [SCORE_TEST["catch2"], "score is the best,score is saved"], 139, "SIGSEGV - Segmentation violation signal",
             Crash("handled_signal", (*OWN_FRAMES, "Catch::RunContext::runTest"), followed_by="SIGSEGV",
                   test=("catch2", None, "score is saved")),
             ("-r", "junit", "-o", "junit.xml")),
    )),
    "doctest": Framework("doctest", "doctest-dev", 3, (SCORE_TEST["doctest"],), (
        Case(NULL_WRITE, [SCORE_TEST["doctest"], "-tc=score is the best,score is saved"], 139, "test case CRASHED: SIGSEGV - Segmentation violation signal",
             Crash("handled_signal", (*OWN_FRAMES, "doctest::Context::run"), followed_by="SIGSEGV",
                   test=("doctest", None, "score is saved")),
             ("-r=junit", "-o=junit.xml")),
    )),
    "boost_test": Framework("Boost.Test", "libboost-test-dev", 2, (SCORE_TEST["boost_test"],), (
        Case(NULL_WRITE, [SCORE_TEST["boost_test"], BOOST_TESTS, "--color_output=no"], 201,
             "memory access violation at address: 0x00000000: no mapping at fault address",
             Crash("handled_signal", (*OWN_FRAMES, "Score::is_saved::test_method")), BOOST_JUNIT,
             gap="The crash, where no program can be hooked to the kernel's functions (CONFIG_FUNCTION_TRACER is not set, as "
                 "here): the handler leaves with `siglongjmp`, and that it does not return is seen by nothing else. The "
                 "report says so in `soft_errors`. Elsewhere it shows `write_through_null`, without its callers; "
                 "`--catch_system_errors=no` shows those, too."),
        Case(NULL_WRITE + ", `--catch_system_errors=no`", [SCORE_TEST["boost_test"], BOOST_TESTS, "--catch_system_errors=no"], 139,
             None, Crash("signal", (*OWN_FRAMES, "Score::is_saved::test_method"),
                   test=("boost.test", "Score", "is_saved")), BOOST_JUNIT),
    )),
    "pytest": Framework("pytest", "python3-pytest", 3, (pathlib.Path("/usr/lib/python3/dist-packages/pytest"),), (
        Case(NULL_WRITE + ", in a C library", [*PYTEST, "test_is_the_best or test_is_saved_in_library"], 139,
             "Fatal Python error: Segmentation fault",
             Crash("handled_signal", (*OWN_FRAMES, "_PyEval_EvalFrameDefault"), followed_by="SIGSEGV",
                   test=("pytest", PYTEST_SUITE, "test_is_saved_in_library")),
             PYTEST_JUNIT, limit="Python functions have no names here; pytest prints them.",
             environment=PYTEST_ENVIRONMENT),
        Case("a test starts a program that writes through null, and does not look at how that ended",
             [*PYTEST, "test_is_saved_by_program"], 0, "1 passed",
             Crash("signal", (*OWN_FRAMES, "main"),
                   test=("pytest", PYTEST_SUITE, "test_is_saved_by_program")), PYTEST_JUNIT, environment=PYTEST_ENVIRONMENT),
    )),
    "rust": Framework("Rust test", "rustc", 3, (SCORE_TEST["rust"],), (
        Case(NULL_WRITE, [SCORE_TEST["rust"], "--exact", "at_first::is_the_best", "is_saved", "--test-threads=1"], 139,
             r"test is_saved \.\.\.",
             Crash("signal", tuple("score_test::" + name for name in (*OWN_FRAMES, "is_saved")),
                   test=("rust", "score_test", "is_saved"))),
        Case("a test panics", [SCORE_TEST["rust"], "panics"], 101, r"test at_first::panics \.\.\. FAILED",
             limit="No crash: a panic is a failed test."),
    )),
    "go": Framework("Go test", "golang-go", 2, (SCORE_TEST["go"],), (
        Case("a test writes through nil", [SCORE_TEST["go"], "-test.run=^TestIs(TheBest|Saved)$"], 2,
             r"\[signal SIGSEGV: segmentation violation code=0x1 addr=0x0",
             limit="Not counted as a crash: Go's handler returned, and made a panic of it, as it does for one that is "
                   "recovered. `GOTRACEBACK=crash` makes the difference."),
        Case("the same, and recovers", [SCORE_TEST["go"], "-test.run=TestRecovers"], 0, "PASS", faults=1),
        Case("a test writes through nil, `GOTRACEBACK=crash`", [SCORE_TEST["go"], "-test.run=^TestIs(TheBest|Saved)$"], 134,
             r"\[signal SIGSEGV: segmentation violation code=0x1 addr=0x0",
             Crash("handled_signal", ("runtime.raise", "runtime.sigpanic", "score.writeThroughNil", "score.saveScore",
                                      "score.finishGame"), signal="SIGABRT", followed_by="SIGABRT",
                   test=("go", "score", "TestIsSaved")),
             environment={"GOTRACEBACK": "crash"}, same_until="\ngoroutine "),
    )),
    "jvm": Framework("OpenJDK", "openjdk-17-jre-headless", 1, (PROGRAMS / "jvm" / "Score.class", JVM_LIBRARY), (
        Case("compiled code meets null 31,250 times, which Java catches", [*JVM, "Score", "null_checks"], 0,
             "caught 31250", faults=31250),
        Case("the same, then an exception that nobody catches", [*JVM, "Score", "nobody_catches"], 1,
             'Exception in thread "main" java.lang.NullPointerException', faults=31250),
        Case("`Unsafe.putLong(0, …)`", [*JVM, "Score", "unsafe"], 134,
             "A fatal error has been detected by the Java Runtime Environment",
             Crash("handled_signal", ("Unsafe_PutLong",), followed_by="SIGABRT"),
             limit="Java functions have no names here; `hs_err_pid*.log` has them."),
        Case("C code called by Java writes through null", [*JVM, "Score", "native", JVM_LIBRARY], 134,
             "A fatal error has been detected by the Java Runtime Environment",
             Crash("handled_signal", (*OWN_FRAMES, "Java_Score_finishInC"), followed_by="SIGABRT")),
        Case("the same, `-XX:-CreateCoredumpOnCrash`",
             [*JVM, "-XX:-CreateCoredumpOnCrash", "Score", "native", JVM_LIBRARY], 1,
             "A fatal error has been detected by the Java Runtime Environment",
             Crash("handled_signal", (*OWN_FRAMES, "Java_Score_finishInC"))),
    )),
}

# --- what is seen ----------------------------------------------------------------------------------------------------


def function_names(crash):
    """Without parameters and template arguments, top first."""
    flat = harness.flatten(crash["threads"][crash["crash_info"]["crashing_thread"]])
    return [re.sub(r"\(\)( const)?$|(?<=\w)\(.*", "", frame.get("function") or "?") for frame in flat]


def junit_in_words(case, folder, environment):
    """What a page that shows JUnit files has of it without us."""
    if not case.junit:
        return ""
    subprocess.run([*case.command, *case.junit], cwd=folder, env=environment, capture_output=True)
    file = folder / "junit.xml"
    if not file.exists():
        return "no file"
    if file.stat().st_size == 0:
        return "an empty file"
    tests = list(xml.etree.ElementTree.parse(file).getroot().iter("testcase"))
    failed = [test for test in tests if test.find("error") is not None or test.find("failure") is not None]
    return f"{len(failed)} of {len(tests)} failed"


class Run:
    """One case, bare and wrapped."""

    def __init__(self, case):
        self.case = case
        with harness.TemporaryFolder() as folder:
            environment = {**os.environ, **case.environment}
            # The limit for core files is the one thing that the wrapper changes, and a JVM that crashes prints it.
            self.bare = subprocess.run(["prlimit", "--core=1:", *case.command], cwd=folder, env=environment,
                                       capture_output=True, text=True)
            self.bare_status = harness.shell_status(self.bare.returncode)
            self.junit = junit_in_words(case, folder, environment)
            self.wrapped = harness.run(case.command, folder, env=environment)
            self.report = self.wrapped.report()
            self.crashes = self.report["crashes"]

    def is_true(self):
        """Whether the report says what is."""
        if self.case.truth is None:
            return not self.crashes
        return len(self.crashes) == 1 and self.case.truth.is_told_by(self.crashes[0])

    def said(self):
        """What the log of a CI job shows of it without us."""
        found = re.search(self.case.says, self.bare.stdout + "\n" + self.bare.stderr) if self.case.says else None
        return f"`{found[0]}`" if found else "nothing"

    def cells(self):
        crash = self.crashes[0] if self.crashes else None
        yield self.case.what
        yield self.bare_status
        yield self.said()
        yield self.junit
        if crash:
            info = crash["crash_info"]
            then = f", then {info['followed_by']['name']}" if "followed_by" in info else ""
            name = info["signal"]["name"] if "signal" in info else "no signal"
            yield f"{info['kind']}: {name}{then}"
            yield info["cause"]
            # a crash that is none has the stack of some thread
            shown = function_names(crash)[:SHOWN_FRAMES] if self.case.truth else []
            yield " ← ".join(f"`{name}`" for name in shown)
        else:
            yield from ("nothing", "", "")
        yield self.wrapped.status
        yield " ".join(filter(None, (self.case.gap, self.case.limit)))


def rows(framework, runs):
    first = f"{framework.name} {framework.version()}"
    return ["| " + " | ".join(map(str, (first, *run.cells()))) + " |" for run in runs]


def table_rows():
    lines = TABLE.read_text().splitlines()
    first = next(number for number, line in enumerate(lines, 1) if line.startswith(TABLE_HEAD))
    return list(itertools.takewhile(lambda line: line.startswith("| "), lines[first:]))


def is_debian_12():
    return "VERSION_CODENAME=bookworm" in pathlib.Path("/etc/os-release").read_text().splitlines()


def faults_seen_by_strace(case, folder):
    log = folder / "strace.log"
    subprocess.run(["strace", "-f", "-o", log, "-e", "trace=none", "-e", "signal=SIGSEGV", *case.command], cwd=folder,
                   env={**os.environ, **case.environment}, capture_output=True)
    return log.read_text().count("--- SIGSEGV {")


class FrameworkTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.framework = FRAMEWORKS[FRAMEWORK]
        cls.runs = [Run(case) for case in cls.framework.cases]

    def test_bare_end(self):
        for run in self.runs:
            with self.subTest(run.case.what):
                self.assertEqual(run.bare_status, run.case.bare_status, run.bare)
                self.assertEqual(run.said() == "nothing", run.case.says is None, run.bare)

    def test_exit_status(self):
        """That of the command, and another only for a crash behind success."""
        for run in self.runs:
            with self.subTest(run.case.what):
                behind_success = run.bare_status == 0 and run.crashes
                expected = harness.CRASH_BEHIND_SUCCESS if behind_success else run.bare_status
                self.assertEqual(run.wrapped.status, expected, run.wrapped)

    def test_output_is_the_command_s(self):
        """And behind it on stderr a short summary, for a crash or what may be one."""
        for run in self.runs:
            with self.subTest(run.case.what):
                lines = run.wrapped.stderr.splitlines(keepends=True)
                summary = [line for line in lines if line.startswith("crashcrawler: ")]
                self.assertEqual(bool(summary), bool(run.crashes or run.report.get("soft_errors")), run.wrapped)
                self.assertLessEqual(len(summary), harness.SUMMARY_LINES)
                stderr = "".join(lines[:len(lines) - len(summary)])
                for bare, wrapped in ((run.bare.stdout, run.wrapped.stdout), (run.bare.stderr, stderr)):
                    self.assertEqual(run.case.comparable(wrapped), run.case.comparable(bare))

    def test_truth(self):
        for run in self.runs:
            with self.subTest(run.case.what):
                if run.case.gap:
                    self.assertFalse(run.is_true(), "the report is as it should be: take the gap out of the case")
                else:
                    told = [(crash["crash_info"], function_names(crash)) for crash in run.crashes]
                    self.assertTrue(run.is_true(), told)

    def test_which_test(self):
        for run in self.runs:
            if run.is_true() and run.crashes:
                with self.subTest(run.case.what):
                    test = run.crashes[0]["test"]
                    self.assertEqual(tuple(map(test.get, ("framework", "suite", "name"))), run.case.truth.test, test)

    def test_report(self):
        for run in self.runs:
            with self.subTest(run.case.what):
                harness.validate(run.report)
                health = run.report["collector"]["health"]
                self.assertEqual((health["lost"], health["lost_records"], health["degraded"]), (0, 0, []))

    def test_control_takes_its_faults(self):
        """A control that meets no fault would be silent for nothing."""
        counted = [run.case for run in self.runs if run.case.faults]
        if counted and not shutil.which("strace"):
            self.skipTest("strace is not installed")
        for case in counted:
            with self.subTest(case.what), harness.TemporaryFolder() as folder:
                self.assertGreaterEqual(faults_seen_by_strace(case, folder), case.faults)

    def test_table(self):
        if not is_debian_12():
            self.skipTest(f"{TABLE.name} shows the versions of Debian 12")
        if FRAMEWORK == "boost_test" and expectation.function_hooks():
            self.skipTest(f"{TABLE.name} shows a kernel without function hooks")
        mine = [row for row in table_rows() if row.startswith(f"| {self.framework.name} ")]
        self.assertEqual(mine, rows(self.framework, self.runs), "ninja frameworks_table writes what is seen now")

    def test_table_has_no_other_rows(self):
        names = tuple(f"| {framework.name} " for framework in FRAMEWORKS.values())
        self.assertEqual([row for row in table_rows() if not row.startswith(names)], [])


def write_table():
    harness.require_capture()
    missing = [path for framework in FRAMEWORKS.values() for path in framework.missing()]
    if missing or not is_debian_12():
        sys.exit(f"the table is made on Debian 12 with every framework installed and built; missing: {missing}")
    text = TABLE.read_text()
    for row in table_rows():
        text = text.replace(row + "\n", "")
    head, line, tail = text.partition(next(line for line in text.splitlines() if line.startswith(TABLE_HEAD)))
    new = [row for framework in FRAMEWORKS.values() for row in rows(framework, map(Run, framework.cases))]
    TABLE.write_text(head + line + "\n" + "\n".join(new) + tail)


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        write_table()
        sys.exit()
    FRAMEWORK = sys.argv[1]
    absent = FRAMEWORKS[FRAMEWORK].missing()
    if absent:
        harness.skip(f"{FRAMEWORKS[FRAMEWORK].name} was not there when this was built (Debian package "
                     f"{FRAMEWORKS[FRAMEWORK].package}): {' '.join(absent)} missing")
    harness.main()
