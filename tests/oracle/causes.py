"""Why our stack and gdb's differ, each told by evidence from outside of the two: the files themselves, other tools."""

import functools
import os
import re
import subprocess

import core_file

CAUSES = {
    "alias": "the function has several names (readelf lists both at its address), and each side takes another; counted "
             "as equal",
    "row of the line table": "several rows of the line table have this address; gdb takes the last one that is marked as "
                             "a statement, we the last one (readelf lists both so)",
    "signal frame of Go": "gdb does not know the trampoline of Go's handlers (code that calls rt_sigreturn, without the "
                          "mark in its call frame table) and takes it for a caller; we begin at what the signal interrupted",
    "stack not captured": "the handler ran on a stack of its own (sigaltstack) and interrupted another stack, of which no "
                          "bytes were captured: our walk says 'no memory at'",
    "package of split units": "the units are in a .dwp file, which libdw reads from version 0.191 on; function and line are "
                              "right without it, but nobody knows what was inlined",
    "unexplained": "nobody knows",
}
RESTORER = bytes.fromhex("48c7c00f0000000f05")  # mov $15, %rax; syscall


@functools.cache
def line_table(file):
    """The rows of a file's line tables as readelf decodes them: address -> [(name of the source, line, is a statement)],
    in the order of the table."""
    rows = {}
    listing = subprocess.run(["readelf", "--wide", "--debug-dump=decodedline", file], capture_output=True, text=True,
                             errors="replace").stdout
    for line in listing.splitlines():
        match = re.match(r"(\S+) +(\d+) +(0x[0-9a-f]+)(?: +\d+)?( +x)?", line)
        if match:
            source, number, address, statement = match.groups()
            rows.setdefault(int(address, 16), []).append((source, int(number), bool(statement)))
    return rows


def code_at(place, length):
    module, address = place
    for _, _, offset, start, size, _ in core_file.segments_of(module):
        if start <= address < start + size:
            with open(module, "rb") as file:
                file.seek(offset + address - start)
                return file.read(length)
    return b""


def is_row(a, b, file):
    """At the address that both sides speak of, the last row that is a statement is gdb's and the last one ours."""
    def row(frame):
        return os.path.basename(frame.file), frame.line

    rows = line_table(file)
    for address in (a.place[1], a.place[1] - 1):  # of the first frame of a stack, and of callers
        at = max((start for start in rows if start <= address), default=None)
        if at is not None:
            statements = [r[:2] for r in rows[at] if r[2]]
            if statements and statements[-1] == row(a) and rows[at][-1][:2] == row(b):
                return True
    return False


def explain(differences, combination, theirs, our_thread, debug_files):
    """Gives each difference of a thread its "cause", a key of CAUSES. `theirs`: gdb's physical frames. `debug_files`: by
    the file that they were taken from."""
    lost_in_trampoline = any(not f.signal and not f.functions[0].readable
                             and code_at(f.functions[0].place, len(RESTORER)) == RESTORER for f in theirs)
    no_memory = our_thread.get("stop_reason", "").startswith("no memory at")
    for difference in differences:
        a, b = difference.pop("sides")
        what = difference["what"]
        difference["cause"] = "unexplained"
        if lost_in_trampoline:
            difference["cause"] = "signal frame of Go"
        elif no_memory and what == "only in gdb (whole frame)" and any(f.signal for f in theirs):
            difference["cause"] = "stack not captured"
        elif combination.build.after == "package_split_files" and what in ("only in gdb", "file or line"):
            difference["cause"] = "package of split units"
        elif what == "name":
            difference["cause"] = "alias"
        elif what == "file or line" and is_row(a, b, debug_files.get(a.place[0], a.place[0])):
            difference["cause"] = "row of the line table"
