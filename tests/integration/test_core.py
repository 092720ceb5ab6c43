"""The small cores: gdb and lldb show the stacks of the report from them, for every fixture; what is in them and what is
not; how large they are, and which are left out.

    test_core.py LIST    a file with "behaviour flavour program" in each line
"""

import collections
import concurrent.futures
import functools
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
import expectation
import harness

PROGRAMS = [tuple(line.split(maxsplit=2)) for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
BY_NAME = {(behaviour, flavour): program for behaviour, flavour, program in PROGRAMS}
PLAIN = BY_NAME["null_write", "O2_nopie"]
CRASHCRAWLER = pathlib.Path(os.environ["CRASHCRAWLER_TEST_CRASHCRAWLER"])
DEBUGGER_TIME = 240  # seconds for all cores
SMALL_CORE, SMALL_JSON = 100 << 10, 64 << 10  # bytes, for a plain C program with one thread

# Where a debugger shows another stack than the report, and why. Nothing else may differ, and each of these has to.
BEHIND_INT3 = ("the address behind int3 is taken for that of the next instruction, which belongs to the next function or to "
               "none; so it is with the kernel's core")
DIFFERENCES = {("gdb", "breakpoint_trap"): BEHIND_INT3, ("lldb", "breakpoint_trap"): BEHIND_INT3}
# Whose files cannot be seen from outside under the names that the process knew.
UNREACHABLE = {"overlay_root": "its root was an overlay that is gone", "private_mount": "its mount is gone"}

Frame = collections.namedtuple("Frame", "address file function start")


def missing_debugger(name):
    return None if shutil.which(name) else f"{name} is not installed"


def kind_of(record):
    return record["crash_info"]["kind"]


def name_only(function):
    """Without parameters, template arguments and the namespaces' "(anonymous namespace)"."""
    name = function.replace("(anonymous namespace)::", "")
    while "<" in name and ">" in name:
        shorter = re.sub(r"<[^<>]*>", "", name)
        if shorter == name:
            break
        name = shorter
    return re.sub(r"\(.*", "", name).strip()


def ours(thread):
    frames = []
    for frame in thread["frames"]:
        address = int(frame["instruction_addr"], 16)
        start = address - int(frame["function_offset"], 16) if "function_offset" in frame else None
        frames.append(Frame(address, frame.get("module"), frame.get("function"), start))
    return frames


class Crash:
    def __init__(self, behaviour, flavour, folder, record):
        self.behaviour, self.flavour, self.record = behaviour, flavour, record
        self.executable = record["process"]["executable"]["path"]
        self.core = next((str(folder / file["path"]) for file in record.get("artifacts", []) if file["type"] == "core"), None)
        self.name = f"{behaviour}.{flavour} {record['id']}"


@functools.cache
def crashes():
    """Every crash of every fixture, as the wrapper reports it."""

    def run(job):
        behaviour, flavour, program = job
        expected = expectation.read(behaviour, flavour)
        if any(expectation.CAPABILITIES[need](program) if need in expectation.CAPABILITIES else not shutil.which(need)
               for need in expected.get("needs", [])):
            print(f"left out: {behaviour}.{flavour}, what it needs is not here (fixture.{behaviour} says what)")
            return []
        folder = ROOT / f"{behaviour}.{flavour}"
        folder.mkdir()
        outcome = harness.run(expectation.command(expected, program, folder), folder, *expected.get("options", []))
        return [Crash(behaviour, flavour, folder / "out", record) for record in outcome.report()["crashes"]]

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [crash for found in pool.map(run, PROGRAMS) for crash in found]


def word_size(core):
    return pathlib.Path(core).read_bytes()[4]  # EI_CLASS


def look_with_gdb(found):
    """{core: {tid: [Frame]}}; of a core that gdb will not open, its words instead. One gdb for each size of words:
    after a 64-bit core it refuses 32-bit programs."""
    result = {}
    for size in {word_size(crash.core) for crash in found}:
        result |= look_with_one_gdb([crash for crash in found if word_size(crash.core) == size])
    return result


def look_with_one_gdb(found):
    jobs = ROOT / "jobs.json"
    jobs.write_text(json.dumps([[crash.executable, crash.core] for crash in found]))
    script = harness.SOURCE / "tests" / "support" / "gdb_backtraces.py"
    process = subprocess.run(["gdb", "-nx", "-batch", "-ex", f"python JOBS = {str(jobs)!r}", "-x", str(script)],
                             capture_output=True, text=True, timeout=DEBUGGER_TIME)
    result = {}
    for line in process.stdout.splitlines():
        if line.startswith("RESULT "):
            seen = json.loads(line.removeprefix("RESULT "))
            result[seen["core"]] = seen.get("error") or {
                int(tid): [Frame(*frame) for frame in frames] for tid, frames in seen["threads"].items()}
    return result


def look_with_lldb(found):
    """The same. As text: Debian 12 ships lldb's Python module with links that lead nowhere."""
    commands = ROOT / "commands"
    lines = ['settings set frame-format "F|${frame.pc}|${frame.sp}|{${module.file.fullpath}}|{${function.name-without-args}}'
             '|{${function.pc-offset}}|\\n"',
             'settings set thread-format "T|${thread.id%tid}|\\n"', 'settings set thread-stop-format "T|${thread.id%tid}|\\n"']
    for crash in found:
        lines += [f'target create "{crash.executable}" --core "{crash.core}"', "bt all", "target delete --all"]
    commands.write_text("\n".join(lines) + "\n")
    process = subprocess.run([lldb(), "--no-lldbinit", "-b", "-o", f"command source -e false {commands}"],
                             capture_output=True, text=True, timeout=DEBUGGER_TIME)
    result, threads, stack_pointer = {}, {}, None
    for line in process.stdout.splitlines():
        word = line.strip().removeprefix("* ").strip()
        if loaded := re.match(r"Core file '(.*)' \(\w+\) was loaded", word):
            threads = result[loaded[1]] = {}
        elif word.startswith("T|"):
            frames, stack_pointer = threads.setdefault(int(word.split("|")[1], 0), []), None
        elif word.startswith("F|"):
            _, address, pointer, file, function, offset, _ = word.split("|")
            start = int(address, 16) - int(offset.replace("+", "")) if offset else None
            frame = Frame(int(address, 16), file, function, start)
            if pointer != stack_pointer:
                frames.append(frame)
            elif frames[-1].function == function:  # what the last one is inlined into
                frames[-1] = frames[-1]._replace(start=start)
            else:  # the last one was a tail call, which lldb derives from DW_TAG_call_site
                frames[-1] = frame
            stack_pointer = pointer
    return result


def lldb():
    return shutil.which("lldb") or shutil.which("lldb-14") or "lldb"


def same_function(frame, shown):
    return (not frame.function or frame.start == shown.start
            or bool(shown.function) and name_only(frame.function) == name_only(shown.function))


def walked(thread):
    """The number of frames before the first that was found by a scan of the stack."""
    return next((i for i, frame in enumerate(thread["frames"]) if frame["trust"] == "scan"), len(thread["frames"]))


def difference(crash, thread, shown):
    """In words; None when the debugger shows what the report says."""
    expected = ours(thread)
    if kind_of(crash.record) == "sanitizer" and thread["crashed"]:
        if not expected and "sanitizer" in thread["stop_reason"]:
            return None  # the report leaves out a stack that says nothing of the finding
        shown = shown[-len(expected):]  # and of others the frames of the sanitizer's runtime
    if len(shown) < len(expected):  # debuggers do not search a stack for return addresses, as we do behind a gap
        expected = expected[:walked(thread)]
    if [frame.address for frame in expected] != [frame.address for frame in shown]:
        return f"addresses {[hex(frame.address) for frame in expected]}, not {[hex(frame.address) for frame in shown]}"
    for frame, other in zip(expected, shown):
        if not same_function(frame, other):
            return f"{hex(frame.address)} is in {frame.function}, not in {other.function}"
        if frame.file and frame.file != "[vdso]" and other.file and os.path.realpath(frame.file) != os.path.realpath(other.file):
            return f"{hex(frame.address)} is of {frame.file}, not of {other.file}"
    return None


class Debuggers(unittest.TestCase):
    def compare(self, debugger, look):
        reachable = [crash for crash in crashes() if crash.core and crash.behaviour not in UNREACHABLE]
        seen = look(reachable)
        counts, differing = collections.Counter(), collections.defaultdict(list)
        for crash in reachable:
            threads = seen.get(crash.core, "not opened")
            if not isinstance(threads, dict):
                differing[crash.behaviour].append(f"{crash.name}: {threads}")
                continue
            for thread in crash.record["threads"]:
                counts.update(threads=1, frames=len(thread["frames"]))
                words = difference(crash, thread, threads.get(thread["thread_id"], []))
                if words:
                    differing[crash.behaviour].append(f"{crash.name}, thread {thread['thread_id']}: {words}")
        allowed = {behaviour for tool, behaviour in DIFFERENCES if tool == debugger}
        print(f"{debugger}: {len(reachable)} cores, {counts['threads']} threads, {counts['frames']} frames")
        for behaviour in allowed:
            print(f"  {behaviour} differs: {DIFFERENCES[debugger, behaviour]}")
        surprises = [words for behaviour, all_words in differing.items() if behaviour not in allowed for words in all_words]
        self.assertEqual(len(surprises), 0, "\n".join(surprises[:20]))
        self.assertEqual(allowed - set(differing), set(), "these do not differ any more")

    def test_gdb_shows_the_stacks_of_the_report(self):
        if reason := missing_debugger("gdb"):
            self.skipTest(reason)
        self.compare("gdb", look_with_gdb)

    def test_lldb_shows_the_stacks_of_the_report(self):
        if reason := missing_debugger(lldb()):
            self.skipTest(reason)
        self.compare("lldb", look_with_lldb)

    def test_every_crash_has_a_core_or_says_why_not(self):
        for crash in crashes():
            errors = [error for error in crash.record["soft_errors"] if "there is no core" in error]
            self.assertEqual(bool(crash.core), not errors, crash.name)
        self.assertEqual([crash.name for crash in crashes() if not crash.core], [])
        if os.geteuid() == 0:  # they need to mount
            self.assertGreaterEqual({crash.behaviour for crash in crashes()}, set(UNREACHABLE))


def cores_of(crash):
    return [artifact for artifact in crash.get("artifacts", []) if artifact["type"] == "core"]


class Content(unittest.TestCase):
    def run_plain(self, *options, program=PLAIN, **arguments):
        folder = self.enterContext(harness.TemporaryFolder())
        outcome = harness.run(program if isinstance(program, list) else [program], folder, *options, **arguments)
        return outcome, outcome.report()

    def test_it_is_the_owner_s_and_is_what_the_report_says(self):
        outcome, report = self.run_plain()
        (artifact,) = cores_of(report["crashes"][0])
        core = outcome.output_dir / artifact["path"]
        self.assertEqual(core.stat().st_mode & 0o777, 0o600)
        self.assertEqual(artifact["size"], core.stat().st_size)
        self.assertEqual(artifact["sha256"], hashlib.sha256(core.read_bytes()).hexdigest())
        harness.validate(report)

    def test_of_the_environment_only_what_the_report_shows_is_in_it(self):
        environment = {**os.environ, "DATABASE_PASSWORD": "correct-horse", "TZ": "Mars/Olympus"}
        outcome, report = self.run_plain(env=environment)
        core = (outcome.output_dir / cores_of(report["crashes"][0])[0]["path"]).read_bytes()
        self.assertNotIn(b"correct-horse", core)
        self.assertNotIn(b"DATABASE_PASSWORD", core)
        self.assertIn(b"TZ=Mars/Olympus", core)
        self.assertIn(PLAIN.encode(), core)  # its arguments stay

    def test_sizes_of_a_plain_program(self):
        outcome, report = self.run_plain()
        files = outcome.output_dir / "crashes" / report["crashes"][0]["id"]
        core, record = (files.with_name(files.name + suffix).stat().st_size for suffix in (".core", ".json"))
        print(f"null_write, one thread: core {core} bytes, JSON {record} bytes")
        self.assertLessEqual(core, SMALL_CORE)
        self.assertLessEqual(record, SMALL_JSON)

    def test_sizes_next_to_the_kernel_s_core(self):
        pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
        if pattern.startswith("|") or "/" in pattern or "%" in pattern:
            self.skipTest(f"core_pattern is no plain file name: {pattern}")
        if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
            self.skipTest("RLIMIT_CORE cannot be raised")
        unlimited = ["sh", "-c", 'ulimit -c unlimited && exec "$0"', PLAIN]
        outcome, report = self.run_plain("--keep-core", program=unlimited)
        (theirs,) = outcome.output_dir.parent.glob(pattern + "*")
        ours_size = cores_of(report["crashes"][0])[0]["size"]
        print(f"null_write: our core {ours_size} bytes, the kernel's {theirs.stat().st_size} "
              f"({theirs.stat().st_blocks * 512} on disk)")
        self.assertLess(ours_size, theirs.stat().st_size)

    def test_a_second_run_takes_the_old_cores_away(self):
        folder = self.enterContext(harness.TemporaryFolder())
        harness.run([PLAIN], folder)
        outcome = harness.run(["true"], folder)
        self.assertEqual(list((outcome.output_dir / "crashes").glob("*")), [])


class Limit(unittest.TestCase):
    CRASHES = 13  # of one program; ten newest are kept

    def crash_often(self, *options):
        folder = self.enterContext(harness.TemporaryFolder())
        script = 'for i in $(seq "$1"); do "$0"; done; "$2"; true'
        # with random addresses a page more or less of stack would be chance
        command = ["setarch", "-R", "sh", "-c", script, PLAIN, str(self.CRASHES), BY_NAME["divide_by_zero", "O2_nopie"]]
        outcome = harness.run(command, folder, *options)
        crashes = outcome.report()["crashes"]
        self.assertEqual(len(crashes), self.CRASHES + 1, outcome)
        files = {path.name for path in (outcome.output_dir / "crashes").glob("*.core")}
        self.assertEqual(files, {pathlib.Path(file["path"]).name for crash in crashes for file in cores_of(crash)})
        return outcome, crashes

    def test_of_the_same_crash_the_newest_are_kept(self):
        outcome, crashes = self.crash_often()
        self.assertEqual([len(cores_of(crash)) == 1 for crash in crashes], 3 * [False] + 11 * [True])
        self.assertIn("10 newer ones of the same crash", crashes[0]["soft_errors"][-1])
        self.assertIn("3 crashes have no core", outcome.stderr)

    def test_the_oldest_of_the_repeated_crash_gives_way_first(self):
        size = cores_of(self.crash_often()[1][-2])[0]["size"]
        limit = 3 * size + size // 2
        outcome, crashes = self.crash_often("--core-limit", str(limit))
        self.assertEqual([len(cores_of(crash)) == 1 for crash in crashes][-3:], [True, True, True])
        self.assertEqual(cores_of(crashes[-4]), [])
        self.assertIn("--core-limit", crashes[-4]["soft_errors"][-1])
        total = sum(path.stat().st_size for path in (outcome.output_dir / "crashes").glob("*.core"))
        self.assertLessEqual(total, limit)

    def test_none_are_written_when_none_are_wanted(self):
        outcome, crashes = self.crash_often("--core-limit", "0")
        self.assertFalse(any(cores_of(crash) or crash["soft_errors"] for crash in crashes))
        self.assertNotIn("no core", outcome.stderr)


class Program(unittest.TestCase):
    """crashcrawler show and crashcrawler gdb."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(harness.TemporaryFolder())
        cls.program = cls.folder / "program"
        shutil.copy(PLAIN, cls.program)
        cls.outcome = harness.run([cls.program], cls.folder)
        cls.crash = cls.outcome.report()["crashes"][0]

    def call(self, *arguments, output_dir=None, **environment):
        command = [str(CRASHCRAWLER), arguments[0], "--output-dir", str(output_dir or self.outcome.output_dir), *arguments[1:]]
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=60)

    def assert_refused(self, process, words, status=1):
        self.assertEqual(process.returncode, status, process)
        self.assertRegex(process.stderr, r"\Acrashcrawler: [^\n]*\n\Z")
        self.assertIn(words, process.stderr)

    def test_show(self):
        listing = self.call("show")
        self.assertEqual(listing.returncode, 0, listing)
        self.assertIn(self.crash["id"], listing.stdout)
        text = (self.outcome.output_dir / "crashes" / (self.crash["id"] + ".txt")).read_text()
        for name in ("1", self.crash["id"], "0001-"):
            self.assertEqual(self.call("show", name).stdout, text)

    def test_gdb_opens_the_core(self):
        if reason := missing_debugger("gdb"):
            self.skipTest(reason)
        process = self.call("gdb", "1", "--", "-batch", "-nx", "-ex", "bt")
        self.assertEqual(process.returncode, 0, process)
        self.assertIn("write_through_null", process.stdout)
        self.assertNotIn("couldn't activate thread debugging", process.stdout + process.stderr)
        printed = self.call("gdb", "--print", "1", "--", "-batch", "-nx", "-ex", "bt").stdout
        shell = subprocess.run(["sh", "-c", printed], capture_output=True, text=True, timeout=60)
        self.assertIn("write_through_null", shell.stdout)

    def test_what_is_not_there_is_said(self):
        self.assert_refused(self.call("show", "nothing"), self.crash["id"])
        self.assert_refused(self.call("gdb", "2"), "there are 1")
        self.assert_refused(self.call("show", output_dir="/nonexistent"), "there is no report")
        self.assert_refused(self.call("gdb", "1", PATH="/nonexistent"), "cannot start gdb", status=127)
        self.assertEqual(self.call("sing").returncode, 2)

    def test_another_program_in_its_place_is_not_shown(self):
        shutil.copy(BY_NAME["null_call", "O2_nopie"], self.program)
        self.addCleanup(shutil.copy, PLAIN, self.program)
        self.assert_refused(self.call("gdb", "--print", "1"), "has changed since the crash")
        self.assertEqual(self.call("gdb", "--print", "--executable", PLAIN, "1").returncode, 0)
        self.program.unlink()
        self.assert_refused(self.call("gdb", "--print", "1"), "cannot open the program")

    def test_control_characters_do_not_reach_the_terminal(self):
        copy = self.folder / "copy"
        shutil.copytree(self.outcome.output_dir, copy)
        (copy / "crashes" / (self.crash["id"] + ".txt")).write_text("\x1b[2Jgone\n")
        self.assertNotIn("\x1b", self.call("show", "1", output_dir=copy).stdout)
        report = json.loads((copy / "report.json").read_text())
        cores_of(report["crashes"][0])[0]["path"] = "../../etc/passwd"
        (copy / "report.json").write_text(json.dumps(report))
        self.assert_refused(self.call("gdb", "1", output_dir=copy), "not followed")


if __name__ == "__main__":
    with harness.TemporaryFolder() as ROOT:
        harness.main()
