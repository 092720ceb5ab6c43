#!/usr/bin/python3
"""Keeps the arrows of ARCHITECTURE.md pointing one way: include_lint.py [ROOT]

    main -> pipeline -> {launch, capture, unwind, attribute, classify, report, augment} -> model -> base -> std

A sideways call does not link; this is for what headers and inline functions would let through, for outside libraries
that belong to one stage alone, for includes that only work from one folder, and for two types of one name, which no
linker complains about: it takes the one's functions for the other's. Prints one line per violation.
"""

import pathlib
import re
import sys

STAGES = ("launch", "capture", "unwind", "attribute", "classify", "report", "augment")

# Which folders below runner/ a folder may include from, besides itself. Not named here: everything.
MAY_INCLUDE = {
    "base": (),
    "model": ("base",),
    "results": ("model", "base"),
    "doctor": ("model", "base"),
    "export": ("results", "report", "model", "base"),
    "repro": ("results", "report", "model", "base"),
    **{stage: ("model", "base") for stage in STAGES},
}

# Outside libraries that have one home: what their headers or CMake targets look like -> the folders that may use them.
HOMES = [
    ("libbpf", r"bpf/(?!crash_event\.h)|crash_probe\.skel\.h", r"PkgConfig::LIBBPF|crashcrawler_bpf", ("capture/probe",)),
    ("libdw", r"elfutils/|dwarf\.h", r"PkgConfig::LIBDW", ("unwind",)),
    ("capstone", r"capstone/", r"PkgConfig::CAPSTONE", ("unwind",)),
    ("liblzma", r"lzma\.h", r"PkgConfig::LIBLZMA", ("unwind",)),
    ("libzstd", r"zstd\.h", r"PkgConfig::LIBZSTD", ("unwind",)),
    ("libdeflate", r"libdeflate\.h", r"PkgConfig::LIBDEFLATE", ("unwind",)),
    ("zlib", r"zlib\.h", r"PkgConfig::ZLIB", ("unwind",)),
    ("libiberty", r"libiberty/", r"Iberty::iberty", ("unwind",)),
    ("libelf", r"(lib|g)elf\.h", r"PkgConfig::LIBELF", ("unwind",)),
    ("tinyxml2", r"tinyxml2\.h", r"tinyxml2::", ("tests",)),
    ("expat", r"expat\.h", r"PkgConfig::EXPAT", ("augment",)),
    ("nettle", r"nettle/", r"PkgConfig::NETTLE", ("report",)),
    ("Boost.Process", r"boost/(?!property_tree/)", r"Boost::filesystem", ("launch",)),
    ("Boost.PropertyTree", r"boost/property_tree/", r"Boost::boost", ("report",)),
    ("CLI11", r"CLI/", r"CLI11::", ("main",)),
    ("spdlog", r"spdlog/", r"spdlog::", ("main", "")),  # errors become words in one place, at the top
]

# base and model know the standard library and the system, nothing else.
OUTSIDE_LIBRARY = re.compile(
    r"(bpf|elfutils|boost|CLI|spdlog|fmt|nlohmann|gtest|gmock)/|(lib|g)elf\.h|dwarf\.h|tinyxml2\.h|xxhash\.h|lzma\.h|zstd\.h|capstone/|"
    r"libiberty/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
GENERATED = re.compile(r"[^/]+\.skel\.h")  # by bpftool, into the build folder
# At the start of a line: in no class. A name with :: is no new one.
TYPE = re.compile(r"^(?:struct|class|union|enum(?: class)?) (\w+)(?: final)?(?: :(?!:)[^;{]*)?\s*\{", re.MULTILINE)
GUARD = re.compile(r"^\s*#\s*(pragma\s+once|ifndef\s+(\w+)\s*\n\s*#\s*define\s+\2)\b", re.MULTILINE)


def may_use(folder, homes):
    return any(folder == home or (home and folder.startswith(home + "/")) for home in homes)


def check_runner_file(path, folder, includes):
    """`folder`: below runner/, "" for runner/ itself."""
    top = folder.split("/")[0]
    for _, header in includes:
        target = re.match(r"runner/([^/]+)/", header)
        if top in MAY_INCLUDE and header.startswith("runner/"):
            allowed = (top, *MAY_INCLUDE[top])
            if not target or target[1] not in allowed:
                yield f"{path}: includes {header}; {top} may include from {', '.join(allowed)} only"
        if top in ("base", "model") and OUTSIDE_LIBRARY.match(header):
            yield f"{path}: includes {header}; {top} may use the standard library and the system only"
        for library, pattern, _, homes in HOMES:
            if re.match(pattern, header) and not may_use(folder, homes):
                yield f"{path}: includes {header}; {library} belongs to {homes[0]} alone"


def check_source(root, path):
    text = (root / path).read_text(errors="replace")
    includes = INCLUDE.findall(text)
    if path.suffix == ".h" and not GUARD.search(text) and "vmlinux" not in path.parts:
        yield f"{path}: neither #pragma once nor an include guard"
    # BPF programs are compiled with bpf/ as a root, too
    roots = [root, root / "bpf"] if path.name.endswith((".bpf.c", ".bpf.h")) else [root]
    for quote, header in includes:
        found = any((place / header).is_file() for place in roots)
        if quote == '"' and not found and not GENERATED.fullmatch(header):
            yield f'{path}: there is no "{header}" at the root of the sources; write includes from the root'
    if path.parts[0] == "runner":
        yield from check_runner_file(path, "/".join(path.parts[1:-1]), includes)


def check_cmake(root, path):
    folder = "/".join(path.parts[1:-1])
    if folder == "":
        return  # links the programs, which may use everything
    for library, _, target, homes in HOMES:
        # a stage's CMakeLists.txt speaks for the folders below it, too
        below = any(home.startswith(folder + "/") for home in homes)
        if re.search(target, (root / path).read_text()) and not may_use(folder, homes) and not below:
            yield f"{path}: links {library}, which belongs to {homes[0]} alone"


def in_one_program(one, other):
    """Whether two headers meet in one: the probe is a program of its own, of its folder, base and model."""
    folders = [path.parts[1:3] == ("capture", "probe") for path in (one, other)]
    return folders[0] == folders[1] or (other if folders[0] else one).parts[1] in ("base", "model")


def check_names(root):
    seen = {}
    for path in sorted((root / "runner").rglob("*.h")):
        relative = path.relative_to(root)
        for name in TYPE.findall(path.read_text()):
            for other in seen.setdefault(name, []):
                if in_one_program(relative, other):
                    yield f"{relative}: {name} is the name of another type in {other}; find another"
            seen[name].append(relative)


def violations(root):
    yield from check_names(root)
    for top in ("runner", "bpf", "tests"):
        for path in sorted((root / top).rglob("*")):
            relative = path.relative_to(root)
            if path.suffix in (".h", ".cpp", ".c"):
                yield from check_source(root, relative)
            elif path.name == "CMakeLists.txt" and top == "runner":
                yield from check_cmake(root, relative)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    found = list(violations(root))
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
