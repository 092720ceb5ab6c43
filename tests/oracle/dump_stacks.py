"""Runs inside of gdb: writes the stacks that gdb sees in cores.

    gdb -batch -nx -x dump_stacks.py          with CRASHCRAWLER_ORACLE_JOBS=FILE in the environment

FILE holds {"debug_directories": ..., "jobs": [{"name", "program", "core"}], "output": FILE}; the output gets one line of
JSON for each job: {"name", "threads": {tid: {"frames": [...], "stop": ...}}, "error"}.
"""

import json
import os

import gdb

MOST_FRAMES = 2000
KINDS = {gdb.NORMAL_FRAME: "normal", gdb.INLINE_FRAME: "inline", gdb.TAILCALL_FRAME: "tail call",
         gdb.SIGTRAMP_FRAME: "signal", gdb.DUMMY_FRAME: "dummy", gdb.ARCH_FRAME: "arch", gdb.SENTINEL_FRAME: "sentinel"}


def describe(frame):
    place = frame.find_sal()
    function = frame.function()
    described = {"pc": frame.pc(), "kind": KINDS[frame.type()], "name": frame.name() or ""}
    if function is not None:
        described["raw"] = function.linkage_name or ""
        described["readable"] = function.name or ""
    if place.symtab is not None and place.line > 0:
        described["file"] = place.symtab.fullname()
        described["line"] = place.line
    return described


def stack():
    frames = []
    frame = gdb.newest_frame()
    reason = "too many"
    while len(frames) < MOST_FRAMES:
        frames.append(describe(frame))
        try:
            older = frame.older()
        except gdb.error as error:
            reason = str(error)
            break
        if older is None:
            reason = gdb.frame_stop_reason_string(frame.unwind_stop_reason())
            break
        frame = older
    return {"frames": frames, "stop": reason}


def stacks(job):
    gdb.execute(f"file {job['program']}", to_string=True)
    gdb.execute(f"core-file {job['core']}", to_string=True)
    found = {}
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        found[thread.ptid[1]] = stack()
    return found


with open(os.environ["CRASHCRAWLER_ORACLE_JOBS"]) as jobs_file:
    work = json.load(jobs_file)
# names as the linker knows them: how gdb writes C++ is not the question
for setting in ("print demangle off", "print asm-demangle off", "backtrace past-main on", "debuginfod enabled off",
                "auto-load off", f"debug-file-directory {work['debug_directories']}"):
    gdb.execute(f"set {setting}")
with open(work["output"], "w") as output:
    for job in work["jobs"]:
        result = {"name": job["name"]}
        try:
            result["threads"] = stacks(job)
        except gdb.error as error:
            result["error"] = str(error)
        gdb.execute("core-file", to_string=True)
        print(json.dumps(result), file=output, flush=True)
