"""Our stacks against those of gdb, which reads the kernel's core of the same crash: every program of programs/ in every
build of matrix.py. Writes report.json and report.txt (totals, and every difference with its cause) to its build folder.

    test_stacks.py FOLDER [PATTERN]      only combinations whose name matches PATTERN, e.g. 'threads.gcc-*', and no limits

With CRASHCRAWLER_ORACLE_KEEP in the environment the programs and cores stay in FOLDER/work.
"""

import collections
import fnmatch
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import causes
import compare
import core_file
import harness
import matrix

FOLDER = pathlib.Path(sys.argv[1]).resolve()
PATTERN = sys.argv[2] if len(sys.argv) > 2 else "*"
HERE = pathlib.Path(__file__).resolve().parent
LEAST_COMBINATIONS = 300
LEAST_SAME_FUNCTION = 0.99
LEAST_SAME_LINE = 0.98
GDBS = 2  # side by side
SECONDS_FOR_GDB = 900
CORE_PATTERN = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()


class Stacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = FOLDER / "work"
        shutil.rmtree(cls.work, ignore_errors=True)
        cls.work.mkdir(parents=True)
        if "CRASHCRAWLER_ORACLE_KEEP" not in os.environ:
            cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.times = {}
        wanted = [c for c in matrix.combinations() if fnmatch.fnmatch(c.name, PATTERN)]
        cls.skipped = {c.name: matrix.missing(c.build) for c in wanted if matrix.missing(c.build)}
        cls.combinations = [c for c in wanted if c.name not in cls.skipped]
        cls.debug_directory = cls.work / "debug"
        cls.builder = matrix.Builder(cls.work, cls.debug_directory)
        commands = cls.timed("building", lambda: cls.builder.build(cls.combinations))
        cls.timed("running", lambda: cls.run_all(commands))
        cls.timed("gdb", lambda: cls.ask_gdb(commands))
        cls.timed("comparing", cls.compare_all)
        cls.write_report()

    @classmethod
    def timed(cls, what, function):
        start = time.monotonic()
        result = function()
        cls.times[what] = round(time.monotonic() - start, 1)
        return result

    @classmethod
    def run_all(cls, commands):
        (cls.work / "run.json").write_text(json.dumps([[str(cls.work / n), c] for n, c in commands.items()]))
        cls.outcome = harness.run([sys.executable, HERE / "run_all.py", cls.work / "run.json"], cls.work, "--keep-core",
                                  "--fail-on=never", f"--debug-dir={cls.debug_directory}")
        cls.crashes = collections.defaultdict(list)
        for crash in cls.outcome.report()["crashes"]:
            cls.crashes[pathlib.Path(crash["process"]["executable"]["path"]).parent.name].append(crash)

    @classmethod
    def ask_gdb(cls, commands):
        cls.cores = {}
        for name in commands:
            found = sorted((cls.work / name).glob(CORE_PATTERN.split("%")[0] + "*"))
            if found:
                cls.cores[name] = found[0]
        jobs = [{"name": n, "program": commands[n][0], "core": str(core)} for n, core in cls.cores.items()]
        processes = []
        for number in range(GDBS):
            part, output = cls.work / f"gdb{number}.json", cls.work / f"gdb{number}.out"
            part.write_text(json.dumps({"jobs": jobs[number::GDBS], "output": str(output),
                                        "debug_directories": f"/usr/lib/debug:{cls.debug_directory}"}))
            environment = {**os.environ, "CRASHCRAWLER_ORACLE_JOBS": str(part)}
            processes.append((subprocess.Popen(["gdb", "-batch", "-nx", "-x", HERE / "dump_stacks.py"], env=environment,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True), output))
        cls.gdb = {}
        try:
            for process, output in processes:
                _, words = process.communicate(timeout=SECONDS_FOR_GDB)
                if process.returncode != 0:
                    raise AssertionError(f"gdb ended with {process.returncode}:\n{words}")
                for line in output.read_text().splitlines():
                    result = json.loads(line)
                    cls.gdb[result["name"]] = result
        finally:
            for process, _ in processes:
                if process.poll() is None:
                    process.kill()
                    process.communicate()

    @classmethod
    def compare_all(cls):
        cls.totals = compare.Totals()
        cls.results = {}
        for combination in cls.combinations:
            name = combination.name
            result = {"totals": compare.Totals(), "differences": [], "problems": cls.problems_of(name)}
            cls.results[name] = result
            if result["problems"]:
                continue
            core = core_file.Core(cls.cores[name])
            crash = cls.crashes[name][0]
            ours = {str(thread["thread_id"]): thread for thread in crash["threads"]}
            theirs = cls.gdb[name]["threads"]
            if ours.keys() != theirs.keys():
                result["problems"].append(f"threads: {sorted(theirs)} in gdb, {sorted(ours)} in ours")
            for tid in ours.keys() & theirs.keys():
                below_handler = ours[tid]["crashed"] and crash["crash_info"]["kind"] == "handled_signal"
                totals, differences, frames = compare.compare_thread(theirs[tid], ours[tid], core, below_handler)
                causes.explain(differences, combination, frames, ours[tid], cls.builder.debug_files)
                result["totals"] += totals
                result["differences"] += [{"thread": tid, **d} for d in differences]
            cls.totals += result["totals"]

    @classmethod
    def problems_of(cls, name):
        """Why nothing can be compared."""
        problems = []
        crashes = cls.crashes.get(name, [])
        if len(crashes) != 1:
            problems.append(f"{len(crashes)} crashes were reported")
        problems += [error for crash in crashes for error in crash["soft_errors"]
                     if "symbolisation failed" in error or "limit" in error]
        if name not in cls.cores:
            problems.append("the kernel wrote no core")
        elif "error" in cls.gdb.get(name, {"error": "gdb said nothing"}):
            problems.append(f"gdb: {cls.gdb.get(name, {}).get('error', 'said nothing')}")
        return problems

    @classmethod
    def write_report(cls):
        unequal = [{"combination": name, **d} for name, r in cls.results.items() for d in r["differences"]]
        by_cause = collections.Counter(d["cause"] for d in unequal)
        report = {
            "combinations": len(cls.combinations), "skipped": cls.skipped, "totals": dict(cls.totals),
            "shares": cls.shares(), "seconds": cls.times, "differences_by_cause": dict(by_cause.most_common()),
            "problems": {name: r["problems"] for name, r in cls.results.items() if r["problems"]},
            "results": {name: dict(r["totals"]) for name, r in cls.results.items()},
            "differences": unequal,
        }
        (FOLDER / "report.json").write_text(json.dumps(report, indent=1))
        (FOLDER / "report.txt").write_text(cls.as_text(report))

    @classmethod
    def shares(cls):
        t = cls.totals
        return {"function_and_offset": t["function_and_offset"] / max(t["frames"], 1),
                "file_and_line": t["file_and_line"] / max(t["with_line"], 1)}

    @classmethod
    def as_text(cls, report):
        t, shares = cls.totals, report["shares"]
        lines = [
            f"{report['combinations']} combinations, {len(report['skipped'])} skipped, {len(report['problems'])} not compared",
            f"{t['frames']} frames, {t['function_and_offset']} equal in function and module + offset"
            f" ({shares['function_and_offset']:.2%}), {t['aliases']} of them under another name of the function",
            f"{t['with_line']} with a line, {t['file_and_line']} equal in file and line ({shares['file_and_line']:.2%})",
            f"not compared: {t['tail_calls']} frames that gdb made up for tail calls, {t['of_handlers']} of handlers of the "
            f"fault that is reported, {t['zero_ends']} zeros at the end of a stack",
            "seconds: " + ", ".join(f"{what} {seconds}" for what, seconds in cls.times.items()), "",
            "differences by cause",
            *(f"  {count:5} {cause}: {causes.CAUSES[cause]}" for cause, count in report["differences_by_cause"].items()), "",
            *(f"skipped {name}: no {', '.join(tools)}" for name, tools in report["skipped"].items()),
            *(f"not compared {name}: {'; '.join(problems)}" for name, problems in report["problems"].items()), "",
            "combination                                   frames  function  with line  same line",
            *(f"{name:45} {r['totals']['frames']:6} {r['totals']['function_and_offset']:9} {r['totals']['with_line']:10}"
              f" {r['totals']['file_and_line']:10}" for name, r in cls.results.items()), "", "differences",
            *(cls.difference_text(d) for d in report["differences"]), ""]
        return "\n".join(lines)

    @staticmethod
    def difference_text(d):
        def side(frame):
            return frame and (f"{frame['function'] or '??'} {pathlib.Path(frame['module']).name}+{frame['offset']} "
                              f"{frame['file']}:{frame['line']}")
        return (f"{d['combination']} thread {d['thread']} frame {d['level']}: {d['what']} [{d['cause']}]\n"
                f"    gdb:  {side(d['gdb'])}\n    ours: {side(d['ours'])}")

    def test_every_combination_was_compared(self):
        self.assertEqual({name: r["problems"] for name, r in self.results.items() if r["problems"]}, {}, self.outcome.stderr)

    @unittest.skipIf(PATTERN != "*", f"only {PATTERN}")
    def test_enough_combinations(self):
        self.assertGreaterEqual(len(self.combinations), LEAST_COMBINATIONS)

    @unittest.skipIf(PATTERN != "*", f"only {PATTERN}")
    def test_functions_and_offsets(self):
        self.assertGreaterEqual(self.shares()["function_and_offset"], LEAST_SAME_FUNCTION, self.summary())

    @unittest.skipIf(PATTERN != "*", f"only {PATTERN}")
    def test_files_and_lines(self):
        self.assertGreaterEqual(self.shares()["file_and_line"], LEAST_SAME_LINE, self.summary())

    def test_what_the_machine_lacks(self):
        if self.skipped:
            self.skipTest(f"{len(self.skipped)} combinations, for want of "
                          + ", ".join(sorted({tool for tools in self.skipped.values() for tool in tools})))

    def summary(self):
        return f"\n{(FOLDER / 'report.txt').read_text()[:20000]}"


if __name__ == "__main__":
    if not CORE_PATTERN or CORE_PATTERN.startswith(("|", "%")) or "/" in CORE_PATTERN:
        harness.skip(f"core dumps go to '{CORE_PATTERN}' (core_pattern), not to a file of a known name")
    if not shutil.which("gdb"):
        harness.skip("gdb is not installed")
    harness.main()
