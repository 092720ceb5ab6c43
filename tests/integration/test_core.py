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
DEBUGGER_TIME = 240  # seconds for all cores
SMALL_CORE, SMALL_JSON = 100 << 10, 64 << 10  # bytes, for a plain C program with one thread

# Where a debugger shows another stack than the report, and why. Nothing else may differ, and each of these has to.
DIFFERENCES = {
    ("gdb", "breakpoint_trap"): "gdb takes the address behind int3 for that of the next instruction, which belongs to the "
                                "next function or to none; it does so with the kernel's core, too",
}
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
             '|{${function.pc-offset}}|{${frame.is-artificial}}|\\n"',
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
            _, address, pointer, file, function, offset, artificial, _ = word.split("|")
            if artificial:
                continue  # a tail call that lldb derives from DW_TAG_call_site
            if pointer == stack_pointer:  # the function that the last one is inlined into
                frames[-1] = frames[-1]._replace(function=function, start=None)
            else:
                start = int(address, 16) - int(offset.replace("+", "")) if offset else None
                frames.append(Frame(int(address, 16), file, function, start))
            stack_pointer = pointer
    return result


def lldb():
    return shutil.which("lldb") or shutil.which("lldb-14") or "lldb"


def same_function(frame, shown):
    return (not frame.function or frame.start == shown.start
            or bool(shown.function) and name_only(frame.function) == name_only(shown.function))


def difference(crash, thread, shown):
    """In words; None when the debugger shows what the report says."""
    expected = ours(thread)
    if kind_of(crash.record) == "sanitizer" and thread["crashed"]:
        if not expected and "sanitizer" in thread["stop_reason"]:
            return None  # the report leaves out a stack that says nothing of the finding
        shown = shown[-len(expected):]  # and of others the frames of the sanitizer's runtime
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
        self.assertGreaterEqual({crash.behaviour for crash in crashes()}, set(UNREACHABLE))


if __name__ == "__main__":
    with harness.TemporaryFolder() as ROOT:
        harness.main()
