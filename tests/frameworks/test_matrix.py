"""The JUnit files of real test frameworks after us, test by test, next to what stands in the tree: FRAMEWORK/expected.json.

    test_matrix.py FRAMEWORK           runs its suite, with a test that passes, one that fails, one that crashes, one that
                                       hangs, one whose child dies on purpose and one that is never reached
    test_matrix.py --write FRAMEWORK   writes what is seen into expected.json, to be read before it is committed
    test_matrix.py --readers           a skip that names the readers of JUnit files that the others have done without
    test_matrix.py --table             writes docs/frameworks.md's table of reports (ninja frameworks_reports)

A run is one command; expected.json has its files, ours ("junit.xml") and the framework's, before and after us. Of each
test it has class, name, state, the type and the message of a failure, and of an <error> of ours the first frame that
has a line in our suites. Times, pids and places are left out.

Beside that, of each file that was mended: nothing that had stood in it is missing (`assert_survives`), and every reader's
rules hold (tests/support/junit_rules.py).
"""

import dataclasses
import itertools
import json
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
import junit_readers
import junit_rules

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = harness.BUILD / "tests" / "frameworks"
TABLE = harness.SOURCE / "docs" / "frameworks.md"
ORIGINAL = ".crashcrawler-orig"
TIMED_OUT = 124
FIRST_TIMEOUT = 2  # seconds; doubled while the test that hangs has not come that far
MARK = "hanging"  # the file that it leaves when it has


@dataclasses.dataclass(frozen=True)
class Run:
    name: str
    command: list
    files: tuple = ()  # that the framework writes or should have written
    options: tuple = ()  # ours
    hangs: bool = False  # --timeout is the end of it
    ctest: str = ""  # CTestTestfile.cmake; SECONDS in it is doubled like a --timeout
    counts_wrong: tuple = ()  # rules of readers that the framework's own files break


@dataclasses.dataclass(frozen=True)
class Framework:
    name: str
    needs: tuple
    runs: tuple
    environment: dict = dataclasses.field(default_factory=dict)


EXPECTED_CHILD = ("--expect", 'test="*is*refused" signal=SIGSEGV')
CATCH2_WRONG = ("a suite without a name", "failures=", "errors=0")
DOCTEST_WRONG = ("testsuite says tests=",)
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-v", "--rootdir=."]
PYTEST_PACKAGES = pathlib.Path("/usr/lib/python3/dist-packages")
PYTEST_ENVIRONMENT = {"SCORE_LIBRARY": str(PROGRAMS / "pytest" / "libscore.so"),
                      "SCORE_PROGRAM": str(PROGRAMS / "pytest" / "score"), "PYTHONDONTWRITEBYTECODE": "1"}
PYTEST_FILE = "test_score.py"
PYTEST_CHILD = ("--expect", 'test="*test_is_refused" signal=SIGSEGV')


def suite(framework):
    return str(PROGRAMS / framework / "score_test")


def quoted(*words):
    return " ".join(f"[==[{word}]==]" for word in words)


def under_ctest(crash, hang, file):
    """The same two under ctest, which ends the one that hangs, and has the output of both."""
    return Run("ctest", ["ctest", "--output-junit", "ctest.xml"], ("ctest.xml", file("crash"), file("hang")),
               ctest=f"add_test(crash {quoted(*crash)})\nadd_test(hang {quoted(*hang)})\n"
                     "set_tests_properties(hang PROPERTIES TIMEOUT SECONDS)\n")


def xml_file(name):
    return f"{name}.xml"


def gtest(pattern, name):
    return [suite("gtest"), f"--gtest_filter={pattern}", f"--gtest_output=xml:{name}.xml"]


def catch2(tests, name):
    return [suite("catch2"), tests, "-r", "junit", "-o", f"{name}.xml"]


def doctest(tests, name):
    return [suite("doctest"), f"-tce={tests}", "-r=junit", f"-o={name}.xml"]


def boost(name, *selection):
    return [suite("boost_test"), "--catch_system_errors=no", *selection,
            f"--logger=JUNIT,all,{name}.xml:HRF,test_suite,stdout"]


def pytest(tests, name, *options):
    return [*PYTEST, *options, f"--junitxml={name}.xml", PYTEST_FILE, "-k", tests]


GTEST_CRASH, GTEST_HANG = "Score.*-*.is_awaited", "Score.*-*.is_saved"
BOOST_HANG = "--run_test=Score/is_the_best,is_awaited,is_never_reached"
PYTEST_CRASH, PYTEST_HANG = "not awaited and not by_program", "not saved"
RUST_CRASH = [suite("rust"), "--test-threads=1", "--skip", "is_awaited"]
RUST_HANG = [suite("rust"), "--test-threads=1", "--skip", "is_saved"]
RUST_CHILD = ("--expect", "test=at_first::is_saved_by_a_child")
GO_CRASH = ["env", "GOTRACEBACK=crash", suite("go"), "-test.v", "-test.run=^TestIs(TheBest|Wrong|Refused|Saved|NeverReached)$"]
GO_HANG = [suite("go"), "-test.v", "-test.run=^TestIs(TheBest|Awaited|NeverReached)$"]
GO_CHILD = ("--expect", "test=*TestIsSavedByAChild")

FRAMEWORKS = {
    "gtest": Framework("GoogleTest", (suite("gtest"),), (
        Run("crash", gtest(GTEST_CRASH, "crash"), ("crash.xml",)),
        Run("hang", gtest(GTEST_HANG, "hang"), ("hang.xml",), hangs=True),
        under_ctest(gtest(GTEST_CRASH, "crash"), gtest(GTEST_HANG, "hang"), xml_file),
        Run("parameter", gtest("Inst/*", "parameter"), ("parameter.xml",)),
        Run("one parameter", gtest("*/1", "parameter"), ("parameter.xml",)),
        Run("typed", gtest("Typed/*", "typed"), ("typed.xml",)),
        Run("typed pattern", gtest("My/*", "pattern"), ("pattern.xml",)),
        Run("underscores", gtest("Game_Score.*", "underscores"), ("underscores.xml",)),
        Run("another thread", gtest("Threads.*", "threads"), ("threads.xml",)),
    )),
    "catch2": Framework("Catch2", (suite("catch2"),), (
        Run("crash", catch2("~*awaited", "crash"), ("crash.xml",), EXPECTED_CHILD, counts_wrong=CATCH2_WRONG),
        Run("hang", catch2("~*saved", "hang"), ("hang.xml",), EXPECTED_CHILD, hangs=True, counts_wrong=CATCH2_WRONG),
        dataclasses.replace(under_ctest(catch2("~*awaited", "crash"), catch2("~*saved", "hang"), xml_file),
                            options=EXPECTED_CHILD, counts_wrong=CATCH2_WRONG),
        Run("section", catch2("[.section]", "section"), ("section.xml",), counts_wrong=CATCH2_WRONG),
    )),
    "doctest": Framework("doctest", (suite("doctest"),), (
        Run("crash", doctest("*awaited", "crash"), ("crash.xml",), EXPECTED_CHILD, counts_wrong=DOCTEST_WRONG),
        Run("hang", doctest("*saved", "hang"), ("hang.xml",), EXPECTED_CHILD, hangs=True, counts_wrong=DOCTEST_WRONG),
        dataclasses.replace(under_ctest(doctest("*awaited", "crash"), doctest("*saved", "hang"), xml_file),
                            options=EXPECTED_CHILD, counts_wrong=DOCTEST_WRONG),
    )),
    "boost_test": Framework("Boost.Test", (suite("boost_test"),), (
        Run("crash", boost("crash"), ("crash.xml",), EXPECTED_CHILD),
        Run("hang", boost("hang", BOOST_HANG), ("hang.xml",), hangs=True),
        dataclasses.replace(under_ctest(boost("crash"), boost("hang", BOOST_HANG), xml_file), options=EXPECTED_CHILD),
    )),
    "pytest": Framework("pytest", (PYTEST_PACKAGES / "pytest", PYTEST_ENVIRONMENT["SCORE_LIBRARY"]), (
        Run("crash", pytest(PYTEST_CRASH, "crash"), ("crash.xml",), PYTEST_CHILD),
        Run("hang", pytest(PYTEST_HANG, "hang"), ("hang.xml",), PYTEST_CHILD, hangs=True),
        dataclasses.replace(under_ctest(pytest(PYTEST_CRASH, "crash"), pytest(PYTEST_HANG, "hang"), xml_file),
                            options=PYTEST_CHILD),
        Run("child", pytest("by_program", "child"), ("child.xml",)),
    ), PYTEST_ENVIRONMENT),
    "xdist": Framework("pytest-xdist", (PYTEST_PACKAGES / "xdist", PYTEST_ENVIRONMENT["SCORE_LIBRARY"]), (
        Run("crash", pytest(PYTEST_CRASH, "crash", "-n1"), ("crash.xml",), PYTEST_CHILD),
        Run("hang", pytest(PYTEST_HANG, "hang", "-n1"), ("hang.xml",), PYTEST_CHILD, hangs=True),
    ), PYTEST_ENVIRONMENT),
    "rust": Framework("Rust test", (suite("rust"),), (
        Run("crash", RUST_CRASH, options=RUST_CHILD),
        Run("hang", RUST_HANG, options=RUST_CHILD, hangs=True),
        dataclasses.replace(under_ctest(RUST_CRASH, RUST_HANG, xml_file), options=RUST_CHILD, files=("ctest.xml",)),
    )),
    "go": Framework("Go test", (suite("go"),), (
        Run("crash", GO_CRASH, options=GO_CHILD),
        Run("hang", GO_HANG, hangs=True),
        dataclasses.replace(under_ctest(GO_CRASH, GO_HANG, xml_file), options=GO_CHILD, files=("ctest.xml",)),
    )),
}

# ctest alone: tests are programs that know no framework.
SCORE = PYTEST_ENVIRONMENT["SCORE_PROGRAM"]
CTEST_TESTS = f"""
add_test(is_the_best true)
add_test(is_wrong false)
add_test(is_refused sh -c "{SCORE}; exit 1")
set_tests_properties(is_refused PROPERTIES WILL_FAIL TRUE)
add_test(is_not_there ./nowhere)
"""
CTEST_REST = f"""
add_test(is_saved {SCORE})
add_test(is_saved_behind_a_shell sh -c "{SCORE}; true")
"""
CTEST_HANG = f"""
add_test(is_awaited {SCORE} await)
"""
FRAMEWORKS["ctest"] = Framework("ctest", (SCORE,), (
    Run("crash", ["ctest", "--output-junit", "crash.xml"], ("crash.xml",), ctest=CTEST_TESTS + CTEST_REST),
    Run("ended by it", ["ctest", "--output-junit", "hang.xml"], ("hang.xml",),
        ctest=CTEST_TESTS + CTEST_HANG + "set_tests_properties(is_awaited PROPERTIES TIMEOUT SECONDS)\n"),
    Run("ended", ["ctest", "--output-junit", "ended.xml"], ("ended.xml",), hangs=True,
        ctest=CTEST_TESTS + CTEST_HANG + "add_test(is_never_reached true)\n"),
    Run("stopped", ["ctest", "--stop-on-failure", "--output-junit", "stopped.xml"], ("stopped.xml",),
        ctest="add_test(is_the_best true)\n" + CTEST_REST + "add_test(is_never_reached true)\n"),
))


# --- what is seen ----------------------------------------------------------------------------------------------------


def without_places(text, folder):
    for place, name in ((str(folder), "FOLDER"), (str(PROGRAMS), "PROGRAMS"), (str(harness.SOURCE), "SOURCE")):
        text = text.replace(place, name)
    text = re.sub(r"[^\s\"':=]*/(tests/frameworks/|PROGRAMS/)", r"\1", text)
    text = re.sub(r"\(pid \d+, uid \d+\)", "(pid *, uid *)", text)
    return re.sub(r"python3\.\d+", "python3", text)


def is_ours(verdict):
    return (verdict.text or "").split("\n", 1)[0] == verdict.get("message")


def frame_of_suite(body, folder):
    """The first function in a file of the suites: what lies above it is the system's. Of a process that was killed any
    thread may be the one that took the signal, so the full report is asked next."""
    place = re.compile(r"^ *#\d+ +(.*?) at \S*tests/frameworks/\S+:\d", re.MULTILINE)
    found = place.search(body)
    full = re.search(r"^full report: (\S+)$", body, re.MULTILINE)
    if not found and full:
        found = place.search((folder / full[1]).read_text())
    return re.sub(r"\(\)$", "", found[1]) if found else "no frame of the suite"


def verdict_in_words(verdict, folder):
    message = without_places(verdict.get("message") or "", folder)
    if verdict.tag == "error" and is_ours(verdict):
        cause = message.partition(", in ")[0]
        return f"error {verdict.get('type')}: {cause} <- {frame_of_suite(verdict.text, folder)}"
    return f"{verdict.tag} {verdict.get('type') or ''}: {message.splitlines()[0] if message else ''}".strip()


def case_in_words(case, folder):
    states = [verdict_in_words(verdict, folder) for verdict in case if verdict.tag in junit_rules.VERDICTS]
    attachments = len(re.findall(r"\[\[ATTACHMENT\|", case.findtext("system-out") or ""))
    place = without_places(case.get("classname") or "", folder)
    words = " | ".join(states) or "passed"
    return f"{place} :: {case.get('name')} -> {words}" + (f" ({attachments} attachments)" if attachments else "")


def file_in_words(path, folder):
    if not path.exists():
        return ["no file"]
    if not path.read_bytes():
        return ["an empty file"]
    try:
        root = xml.etree.ElementTree.fromstring(path.read_bytes())
    except xml.etree.ElementTree.ParseError:
        return ["not well-formed"]
    lines = []
    for suite_element in ([root] if root.tag == "testsuite" else root.findall("testsuite")):
        counters = " ".join(f"{name}={suite_element.get(name)}" for name in ("tests", "failures", "errors", "skipped")
                            if suite_element.get(name) is not None)
        lines.append(f"suite {without_places(suite_element.get('name') or '', folder)}: {counters}")
        lines += [case_in_words(case, folder) for case in suite_element.iter("testcase")]
    return lines


def suites_of(root):
    return [root] if root.tag == "testsuite" else root.findall("testsuite")


class Done:
    """One run, in a folder of its own."""

    def __init__(self, framework, run, folder):
        self.run = run
        self.folder = folder
        if framework.environment:
            shutil.copy(HERE / "pytest" / PYTEST_FILE, folder)
        seconds = FIRST_TIMEOUT
        while True:
            self.outcome = self.start(framework, run, seconds)
            self.report = self.outcome.report()
            too_slow = "took longer than" in " ".join(self.report.get("soft_errors", []))  # to list its tests
            if not too_slow and (not self.needs_mark(run) or (folder / MARK).exists()):
                break
            seconds *= 2
            if seconds > harness.DEADLINE:
                raise AssertionError(f"the test that hangs was not reached, or tests not listed; "
                                     f"{self.outcome}")

    @staticmethod
    def needs_mark(run):
        return run.hangs or "SECONDS" in run.ctest

    def start(self, framework, run, seconds):
        for name in (MARK, *run.files, *(file + ORIGINAL for file in run.files)):
            (self.folder / name).unlink(missing_ok=True)
        if run.ctest:
            (self.folder / "CTestTestfile.cmake").write_text(run.ctest.replace("SECONDS", str(seconds)))
        options = (*run.options, *((f"--timeout={seconds}s", "--grace=1s") if run.hangs else ()))
        return harness.run(run.command, self.folder, *options, env={**os.environ, **framework.environment})

    def in_words(self):
        """What expected.json has of it."""
        seen = {"status": self.outcome.status,
                "soft errors": [without_places(words, self.folder) for words in self.report.get("soft_errors", [])],
                "junit.xml": file_in_words(self.outcome.output_dir / "junit.xml", self.folder)}
        for name in self.run.files:
            original = self.folder / (name + ORIGINAL)
            seen[name + " before us"] = file_in_words(original, self.folder)
            seen[name] = file_in_words(self.folder / name, self.folder)
        return seen


def expected_path(framework):
    return HERE / framework / "expected.json"


def is_counter(name):
    return name in ("tests", "failures", "errors", "skipped")


class Matrix(unittest.TestCase):
    maxDiff = None

    def run_all(self, framework):
        for run in framework.runs:
            with harness.TemporaryFolder() as folder:
                yield run, Done(framework, run, folder), folder

    def test_matrix(self):
        framework = FRAMEWORKS[FRAMEWORK]
        seen, kept = {}, []
        keep = self.enterContext(harness.TemporaryFolder())
        for run, done, folder in self.run_all(framework):
            with self.subTest(run.name):
                harness.validate(done.report)
                seen[run.name] = done.in_words()
                if not WRITE:
                    expected = json.loads(expected_path(FRAMEWORK).read_text())
                    self.assertEqual(seen[run.name], expected.get(run.name))
                self.assert_read(done.outcome.output_dir / "junit.xml", folder, True)
                for name in run.files:
                    self.assert_read(folder / name, folder, False, run.counts_wrong)
                    self.assert_survives(folder / (name + ORIGINAL), folder / name)
                for path in (done.outcome.output_dir / "junit.xml", *(folder / name for name in run.files)):
                    kept.append(keep / f"{len(kept)}.xml")
                    shutil.copy(path, kept[-1])
        if WRITE:
            expected_path(FRAMEWORK).write_text(json.dumps(seen, indent=1, ensure_ascii=False) + "\n")
        else:
            self.assertEqual(list(seen), list(json.loads(expected_path(FRAMEWORK).read_text())))
        self.assert_shown(kept)

    def assert_shown(self, files):
        """By every reader that is installed. That one is not is the skip of frameworks.readers."""
        problems, ran = junit_readers.unread(files)
        self.assertEqual(problems, [])
        print(f"{len(files)} files, {sum(len(list(junit_readers.first_messages(file))) for file in files)} errors of ours, "
              f"read by {', '.join(ran)}", flush=True)

    def assert_read(self, path, folder, ours, counts_wrong=()):
        broken = junit_rules.violations(path, ours=ours, folder=folder)
        self.assertEqual([rule for rule in broken if not any(words in rule for words in counts_wrong)], [], path.name)

    def assert_survives(self, original, mended):
        """All that had stood there stands there, in its order: suites, cases, attributes but counters, and what a case holds
        but a failure without words, whose place an error has taken."""
        if not original.exists() or not original.read_bytes():
            return
        before, after = (xml.etree.ElementTree.parse(path).getroot() for path in (original, mended))
        pairs = list(zip(suites_of(before), suites_of(after)))
        self.assertEqual(len(pairs), len(suites_of(before)))
        for old, new in pairs:
            self.assertEqual({k: v for k, v in old.items() if not is_counter(k)},
                             {k: v for k, v in new.items() if not is_counter(k)})
            cases = zip(old.iter("testcase"), new.iter("testcase"), strict=False)
            self.assertLessEqual(len(list(old.iter("testcase"))), len(list(new.iter("testcase"))))
            for one, other in cases:
                self.assertEqual(one.attrib, other.attrib)
                left = iter([self.comparable(child) for child in other])
                for child in one:
                    if child.tag == "failure" and not (child.text or "").strip() and not child.get("message"):
                        continue
                    self.assertTrue(any(self.comparable(child) == there for there in left),
                                    f"{one.get('name')} has lost its {child.tag}")

    @staticmethod
    def comparable(child):
        """Attachments are put before the text of a system-out."""
        text = re.sub(r"^\[\[ATTACHMENT\|.*\]\]\n", "", child.text or "", flags=re.MULTILINE)
        return child.tag, sorted(child.items()), text.strip()


    def test_table(self):
        self.assertEqual([row for row in table_rows() if row.startswith(f"| {FRAMEWORKS[FRAMEWORK].name} |")],
                         rows_of(FRAMEWORK), "ninja frameworks_reports writes what expected.json has")


# --- the table of docs/frameworks.md, which is made of expected.json ------------------------------------------------------

TABLE_HEAD = "| framework | what ends it | before | after |"
RULE = "|---|---|---|---|"
STATES = (("passed", lambda words: words.startswith("passed")),
          ("failed", lambda words: words.startswith("failure")),
          ("crashed or hung", lambda words: words.startswith("error") and " <- " in words),
          ("in error", lambda words: words.startswith("error")),
          ("never begun", lambda words: words.startswith("skipped : never begun")),
          ("of unknown result", lambda words: words.startswith("skipped : not known")),
          ("skipped", lambda words: words.startswith("skipped")))


ENDS = {"crash": "a crash", "hang": "a hang, `--timeout`",
        ("ctest", "ctest.xml"): "both, below ctest, in the file of ctest",
        ("ctest", "crash.xml"): "a crash, below ctest", ("ctest", "hang.xml"): "a hang, ended by ctest",
        "ctest": "both, below ctest", "ended by it": "a hang, ended by ctest", "ended": "a hang, `--timeout`",
        "stopped": "a crash, with `--stop-on-failure`", "child": "a crash of a program that a test starts",
        "section": "a crash in a section", "parameter": "a crash in one of three parameters",
        "one parameter": "the same, chosen by `--gtest_filter`", "typed": "a crash in a `TYPED_TEST`",
        "typed pattern": "a crash in a `TYPED_TEST_P`", "underscores": "a crash in a test with `_` in its names",
        "another thread": "a crash in a thread that the test waits for"}


def split(line):
    """(class, name, state) of a case in expected.json."""
    place, _, words = line.partition(" -> ")
    return (*place.partition(" :: ")[::2], words)


def report_in_words(lines):
    if len(lines) == 1 and not lines[0].startswith("suite "):
        return lines[0]
    cases = [split(line) for line in lines if not line.startswith("suite ")]
    counts = dict.fromkeys((name for name, _ in STATES), 0)
    for _, _, words in cases:
        counts[next(name for name, is_it in STATES if is_it(words))] += 1
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def crashes_in_words(lines):
    for line in lines:
        _, name, words = split(line)
        if " <- " in words:
            first = words.partition(" | ")[0]
            kind, frame = re.match(r"error (\S+):", first)[1], re.search(r"<- (\S.*?)( \(\d+ attachments\))?$", first)[1]
            yield f"`{name}` {kind} in `{frame}`" if "no frame" not in frame else f"`{name}` {kind}"


def rows_of(framework):
    """One for each file that the framework owes, in each run."""
    rows = []
    for name, run in json.loads(expected_path(framework).read_text()).items():
        files = [file for file in run if file.endswith(".xml") and file != "junit.xml"]
        for file in files or ["junit.xml"]:
            before = report_in_words(run[file + " before us"]) if files else "it writes none"
            after = report_in_words(run[file])
            ends = ENDS.get((name, file)) or ENDS[name]
            told = "; ".join(crashes_in_words(run[file]))
            rows.append(f"| {FRAMEWORKS[framework].name} | {ends} | {before} | {after}{': ' + told if told else ''} |")
    return rows


def table_rows():
    lines = TABLE.read_text().splitlines()
    first = lines.index(TABLE_HEAD) + 2
    return list(itertools.takewhile(lambda line: line.startswith("| "), lines[first:]))


def write_table():
    text = TABLE.read_text()
    head, _, tail = text.partition(f"{TABLE_HEAD}\n{RULE}\n")
    tail = tail[sum(len(row) + 1 for row in table_rows()):]
    rows = [row for framework in FRAMEWORKS for row in rows_of(framework)]
    TABLE.write_text("\n".join([head + TABLE_HEAD, RULE, *rows, tail]))


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        write_table()
        sys.exit()
    if sys.argv[1:] == ["--readers"]:
        absent = list(junit_readers.missing())
        if absent:
            harness.skip("; ".join(absent))
        sys.exit()
    WRITE = "--write" in sys.argv
    FRAMEWORK = sys.argv[-1]
    absent = [str(path) for path in FRAMEWORKS[FRAMEWORK].needs if not pathlib.Path(path).exists()]
    if absent:
        harness.skip(f"{FRAMEWORKS[FRAMEWORK].name} was not there when this was built: {' '.join(absent)} missing")
    if not shutil.which("ctest"):
        harness.skip("ctest is not installed")
    harness.main()
