"""Our stacks against gdb's, frame by frame.

Both are cut into physical frames, each with the functions inlined into it. Physical frames are matched by their program
counters, in order; what one side has alone is a difference. Within a physical frame the functions are compared from the
outermost inwards. Frames that gdb makes up for tail calls (they left nothing on the stack; gdb reconstructs them from
call site information) are counted apart and not compared. So is the zero that ends the stack of a goroutine and
that gdb shows as a last frame, and so are the frames of a handler when the report is about the
fault that it handles: there the stack of the report begins with what the handler interrupted.
"""

import collections
import difflib
import functools
import os
import re
import subprocess


class Flat:
    """One frame as it is compared: a function, inlined or not, at a place."""

    def __init__(self, pc, names, readable, file, line, place):
        self.pc, self.names, self.readable = pc, {n for n in names if n}, readable
        self.file, self.line, self.place = file, line, place

    def describe(self):
        return {"function": sorted(self.names)[0] if self.names else "", "module": self.place[0], "offset": hex(self.place[1]),
                "file": self.file, "line": self.line}


class Physical:
    def __init__(self, pc, functions, signal=False):
        self.pc, self.functions, self.signal = pc, functions, signal  # innermost first; the trampoline of a handler


def bare(name):
    """The path of a function without return type, parameters, arguments of templates and clone marks. Where the compiler
    gave no linkage name (functions of one file), gdb puts the name together from the debug information and spells
    types as the source does; nothing but the path is comparable."""
    name = re.sub(r" ?\[clone [^]]*\]", "", name).replace("(anonymous namespace)", "{anonymous}")
    name = re.sub(r"<lambda\([^()]*\)>|\{lambda\([^()]*\)#\d+\}", "lambda", name)
    name = re.sub(r"operator(\(\)|<<=?|>>=?|<=>?|>=?|<|->\*?|->)", lambda m: "operator" + "".join(
        f"{{{ord(letter)}}}" for letter in m.group(1)), name).replace("->", "")
    while re.search("<[^<>]*>", name):
        name = re.sub("<[^<>]*>", "", name)
    while re.search(r"\([^()]*\)", name):
        name = re.sub(r"\([^()]*\)( const)?", "", name)
    words = name.replace("operator ", "operator_").split()
    return words[-1] if words else ""


@functools.cache
def normal_path(file):
    """Without links and .., which gdb resolves where the file exists."""
    return os.path.realpath(file) if file.startswith("/") else os.path.normpath(file) if file else ""


def of_gdb(thread, core):
    """(physical frames, numbers of frames that are none) of a thread as dump_stacks.py describes it."""
    physical, inlined, tail_calls, ends = [], [], 0, 0
    caller = False  # pc is a return address
    for frame in thread["frames"]:
        if frame["kind"] == "tail call":
            tail_calls += 1
            continue
        flat = Flat(frame["pc"], (frame.get("raw"), frame["name"]), frame.get("readable", ""),
                    normal_path(frame.get("file", "")), frame.get("line", 0), core.place(frame["pc"], caller))
        inlined.append(flat)
        if frame["kind"] == "inline":
            continue
        physical.append(Physical(frame["pc"], inlined, frame["kind"] == "signal"))
        inlined = []
        caller = frame["kind"] != "signal"
    if physical and physical[-1].pc == 0:
        physical.pop()
        ends = 1
    return physical, {"tail_calls": tail_calls, "zero_ends": ends}


def of_report(thread):
    physical = []
    for frame in thread["frames"]:
        pc = int(frame["instruction_addr"], 16)
        place = (frame.get("module", ""), int(frame.get("module_offset", "0"), 16))
        functions = [Flat(pc, (f.get("raw_function"),), f.get("function", ""), normal_path(f.get("file", "")), f.get("line", 0),
                          place) for f in (*frame.get("inlines", []), frame)]
        physical.append(Physical(pc, functions))
    return physical


def same_function(a, b):
    if a.names & b.names:
        return True
    if not a.readable or not b.readable:
        return not a.names and not b.names
    x, y = bare(a.readable), bare(b.readable)
    # gdb leaves out the scopes of what is local to a function
    return x == y or x.endswith(f"::{y}") or y.endswith(f"::{x}")


@functools.cache
def symbols(module):
    """Address -> names in the symbol tables of a file."""
    found = collections.defaultdict(set)
    listing = subprocess.run(["readelf", "--symbols", "--wide", module], capture_output=True, text=True).stdout
    for line in listing.splitlines():
        match = re.match(r" *\d+: ([0-9a-f]+) +\S+ +\S+ +\S+ +\S+ +\S+ (\S+)", line)
        if match:
            found[int(match.group(1), 16)].add(match.group(2).split("@")[0])
    return found


def is_alias(a, b):
    """One function with several names: the file's symbol table has both at one address, or they are the constructors or
    destructors of the complete object and of its base (C1 and C2, D1 and D2 of the C++ ABI), which are one as a rule."""
    def without_variant(names):
        return {re.sub("([CD])[12]E", r"\1E", name) for name in names}

    return bool(without_variant(a.names) & without_variant(b.names)) or any(a.names & names and b.names & names for names in symbols(a.place[0]).values())


class Totals(collections.Counter):
    """frames, function_and_offset, with_line, file_and_line (equal ones), tail_calls, zero_ends, of_handlers (not
    compared)"""


def compare_thread(gdb_thread, our_thread, core, below_handler):
    """(totals, differences, physical frames of gdb) of one thread. A difference: {"what", "level", "gdb", "ours", "sides"}.
    `below_handler`: the report says that it is about a fault that was handled."""
    totals = Totals()
    differences = []
    theirs, left_out = of_gdb(gdb_thread, core)
    totals.update(left_out)
    everything = theirs
    ours = of_report(our_thread)
    if below_handler and begins_below_handler(theirs, ours):
        interrupted = [f.pc for f in theirs].index(ours[0].pc)
        totals["of_handlers"] = sum(len(f.functions) for f in theirs[:interrupted])
        theirs = theirs[interrupted:]

    def differ(what, level, a, b):
        differences.append({"what": what, "level": level, "gdb": a and a.describe(), "ours": b and b.describe(),
                            "sides": (a, b)})

    def compare(level, a, b):
        for x, y in pairs_of(a.functions if a else [], b.functions if b else []):
            totals["frames"] += 1
            same = x is not None and y is not None and same_function(x, y) and x.place == y.place
            alias = not same and x is not None and y is not None and x.place == y.place and is_alias(x, y)
            totals["function_and_offset"] += same or alias
            totals["aliases"] += alias
            has_line = any(f is not None and f.line for f in (x, y))
            totals["with_line"] += has_line
            same_line = x is not None and y is not None and (x.file, x.line) == (y.file, y.line)
            totals["file_and_line"] += has_line and same_line
            if x is None or y is None:
                what = "only in gdb" if y is None else "only in ours"
                differ(what if a and b is not None and (a is None) == (b is None) else what + " (whole frame)", level, x, y)
            elif alias:
                differ("name", level, x, y)
            elif not same:
                differ("function" if x.place == y.place else "module or offset", level, x, y)
            elif has_line and not same_line:
                differ("file or line", level, x, y)

    matcher = difflib.SequenceMatcher(None, [f.pc for f in theirs], [f.pc for f in ours], autojunk=False)
    level = 0
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        for number in range(max(a2 - a1, b2 - b1)):
            compare(level, theirs[a1 + number] if a1 + number < a2 else None,
                    ours[b1 + number] if b1 + number < b2 else None)
            level += 1
    return totals, differences, everything


def begins_below_handler(theirs, ours):
    """The frame right below one of gdb's signal frames is our first."""
    return bool(ours) and any(above.signal and f.pc == ours[0].pc for above, f in zip(theirs, theirs[1:]))


def pairs_of(a, b):
    """Functions of one physical frame side by side: the outermost are partners."""
    for number in range(1, max(len(a), len(b)) + 1):
        yield (a[-number] if number <= len(a) else None), (b[-number] if number <= len(b) else None)
