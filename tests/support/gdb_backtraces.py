"""Run inside of gdb: the stacks of many core files as gdb shows them, one JSON object for each line.

    gdb -nx -batch -ex 'python JOBS = "FILE"' -x gdb_backtraces.py

FILE holds a list of [executable, core]. Written for each: {"core", "threads": {tid: [frame]}, "libraries"}, a frame
being [address, file, function, start of the function], without inlined functions and without the tail calls that gdb
derives from DW_TAG_call_site; or {"core", "error"}.
"""

import json

import gdb

FRAMES = 1100  # more than a report keeps


def start_of(frame):
    """Where the frame's function begins; None when gdb does not know."""
    function = frame.function()
    if function is not None:
        return int(function.value().address)
    try:
        place = gdb.execute(f"info symbol {frame.pc()}", to_string=True).split(" in section ")[0]
    except gdb.error:
        return None
    offset = place.rpartition(" + ")[2]
    return frame.pc() - (int(offset) if " + " in place else 0)


def frames_of(thread):
    thread.switch()
    frames = []
    frame = gdb.newest_frame()
    while frame is not None and len(frames) < FRAMES:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            file = gdb.solib_name(frame.pc()) or gdb.current_progspace().filename
            frames.append([frame.pc(), file, frame.name(), start_of(frame)])
        try:
            frame = frame.older()
        except gdb.MemoryError:
            break
    return frames


def look_at(executable, core):
    gdb.execute(f"file {executable}", to_string=True)
    gdb.execute(f"core-file {core}", to_string=True)
    threads = {thread.ptid[1]: frames_of(thread) for thread in gdb.selected_inferior().threads()}
    libraries = [line.split()[-1] for line in gdb.execute("info sharedlibrary", to_string=True).splitlines()[1:]]
    return {"core": core, "threads": threads, "libraries": libraries}


for setting in ("backtrace past-main on", "backtrace past-entry on", "auto-load libthread-db off", "pagination off",
                "debuginfod enabled off", "confirm off"):
    gdb.execute("set " + setting)
with open(JOBS) as jobs:  # noqa: F821, set on gdb's command line
    for job in json.load(jobs):
        try:
            result = look_at(*job)
        except gdb.error as error:
            result = {"core": job[1], "error": str(error)}
        print("RESULT " + json.dumps(result), flush=True)
        gdb.execute("core-file", to_string=True)
