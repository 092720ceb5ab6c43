"""Why our stack and gdb's differ, each told by evidence from outside of the two: the files themselves, other tools."""

import functools
import pathlib
import subprocess

import compare
import core_file

CAUSES = {
    "alias": "the function has several names (readelf lists both at its address), and each side takes another; counted "
             "as equal",
    "row of the line table": "several rows of the line table have this address; gdb takes the last one that begins a "
                             "statement, we the last one, and so does addr2line of binutils",
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
def addr2line(module, address):
    """(file, line) of each function inlined at an address, innermost first."""
    places = subprocess.run(["addr2line", "-i", "-e", module, hex(address)], capture_output=True, text=True).stdout
    return [(compare.normal_path(file), int(line) if line.isdigit() else 0)
            for file, _, line in (place.split(" ")[0].rpartition(":") for place in places.splitlines())]


def code_at(place, length):
    module, address = place
    for _, _, offset, start, size, _ in core_file.segments_of(module):
        if start <= address < start + size:
            with open(module, "rb") as file:
                file.seek(offset + address - start)
                return file.read(length)
    return b""


def is_row(what, a, b):
    """Only one of the two lines is what addr2line says, too: ours."""
    if what != "file or line" or not pathlib.Path(a.place[0]).exists():
        return False
    # for the first frame of a stack the address itself, else the call before it; both are asked
    answers = [addr2line(a.place[0], a.place[1] - back) for back in (0, 1)]
    return any((b.file, b.line) in answer and (a.file, a.line) not in answer for answer in answers)


def explain(differences, combination, theirs, our_thread):
    """Gives each difference of a thread its "cause", a key of CAUSES. `theirs`: gdb's physical frames."""
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
        elif a and b and is_row(what, a, b):
            difference["cause"] = "row of the line table"
