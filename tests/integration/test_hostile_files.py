"""Programs whose own file is damaged in every place that the kernel and the dynamic linker do not look at: they run, crash,
and are reported as far as the file can be understood, with the right offset always.

    test_hostile_files.py PROGRAM    (null_write, with debug information)
"""

import os
import pathlib
import random
import shutil
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

PROGRAM = pathlib.Path(sys.argv[1])
SEGV = 128 + 11
LIMIT = 60  # seconds for one run: more than the child that reads the file may take (20), so that a hang is seen

SECTION_HEADERS, SECTION_COUNT, NAMES_INDEX = 40, 60, 62  # e_shoff, e_shnum, e_shstrndx of a 64-bit file (elf(5))
SECTION_SIZE = 64
COMPRESSED = 0x800  # SHF_COMPRESSED


class ElfFile:
    """The bytes of a 64-bit little-endian ELF file, to be damaged."""

    def __init__(self, path):
        self.bytes = bytearray(path.read_bytes())
        self.sections = self.read_sections()

    def read_sections(self):
        """{name: (place of the header, offset, size)}"""
        table, = struct.unpack_from("<Q", self.bytes, SECTION_HEADERS)
        count, names_index = struct.unpack_from("<HH", self.bytes, SECTION_COUNT)
        headers = [struct.unpack_from("<IIQQQQ", self.bytes, table + i * SECTION_SIZE) for i in range(count)]
        names = headers[names_index][4]
        sections = {}
        for i, (name, _, _, _, offset, size) in enumerate(headers):
            end = self.bytes.index(b"\0", names + name)
            sections[self.bytes[names + name:end].decode()] = (table + i * SECTION_SIZE, offset, size)
        return sections

    def put(self, offset, data):
        self.bytes[offset:offset + len(data)] = data

    def fill(self, section, pattern):
        _, offset, size = self.sections[section]
        self.put(offset, (pattern * size)[:size])

    def put_in(self, section, position, data):
        self.put(self.sections[section][1] + position, data)


def turned(section):
    """Every byte of the section is another, the same ones in every run."""
    def damage(file):
        _, offset, size = file.sections[section]
        file.put(offset, random.Random(section).randbytes(size))
    return damage


def first_length_absurd(section):
    def damage(file):
        file.put_in(section, 0, struct.pack("<I", 0xfffffff0))
    return damage


def first_length_zero(section):
    def damage(file):
        file.put_in(section, 0, bytes(4))
    return damage


def no_section_headers(file):
    file.put(SECTION_HEADERS, struct.pack("<Q", 0))


def section_headers_outside(file):
    file.put(SECTION_HEADERS, struct.pack("<Q", len(file.bytes) - 8))


def too_many_sections(file):
    file.put(SECTION_COUNT, struct.pack("<HH", 0xffff, 0xfffe))


def section_headers_turned(file):
    table, = struct.unpack_from("<Q", file.bytes, SECTION_HEADERS)
    file.put(table, random.Random(1).randbytes(len(file.bytes) - table))


def all_debug_sections_at_one_place(file):
    for name, (header, _, _) in file.sections.items():
        if name.startswith(".debug"):
            file.put(header + 24, struct.pack("<QQ", 64, len(file.bytes) - 64))


def absurd_compression(file):
    for name, (header, offset, _) in file.sections.items():
        if name.startswith(".debug"):
            file.put(header + 8, struct.pack("<Q", COMPRESSED))
            file.put(offset, struct.pack("<IIQQ", 1, 0, 1 << 62, 1))


def huge_build_id(file):
    file.put_in(".note.gnu.build-id", 0, struct.pack("<II", 4, 0xffffffff))


def cut_behind_the_segments(file):
    first = min(offset for name, (_, offset, _) in file.sections.items() if name in (".comment", ".debug_aranges"))
    del file.bytes[first:]


DAMAGES = {
    "no section headers": no_section_headers,
    "section headers outside of the file": section_headers_outside,
    "more sections than there is room for": too_many_sections,
    "section headers turned": section_headers_turned,
    "cut behind the segments": cut_behind_the_segments,
    "all debug sections at one place": all_debug_sections_at_one_place,
    "sections of an absurd size when inflated": absurd_compression,
    "a build-id of 4 GiB": huge_build_id,
    **{f"{name} turned": turned(name) for name in
       (".eh_frame", ".eh_frame_hdr", ".debug_info", ".debug_line", ".debug_abbrev", ".debug_str", ".comment", ".symtab")},
    **{f"{name}: an absurd length": first_length_absurd(name) for name in
       (".eh_frame", ".debug_info", ".debug_line", ".debug_aranges")},
    **{f"{name}: a length of 0": first_length_zero(name) for name in (".eh_frame", ".debug_info", ".debug_line")},
}

# What must be told, because something is missing that the file seems to have.
TOLD = {
    "section headers outside of the file": "a section header lies outside the file",
    "sections of an absurd size when inflated": "compressed sections:",
    ".debug_info turned": "its debug information",
    ".debug_info: an absurd length": "its debug information",
    ".debug_line turned": "a line table is damaged",
    ".debug_line: an absurd length": "a line table is damaged",
}


class HostileFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(harness.TemporaryFolder())
        cls.whole = cls.crash_of(cls, "whole", lambda file: None)[1]

    def crash_of(self, name, damage):
        """The path of the damaged copy and its crash, from a report that is complete."""
        folder = self.folder / name.replace(" ", "_").replace("/", "_")
        folder.mkdir()
        program = folder / "program"
        shutil.copy(PROGRAM, program)
        file = ElfFile(program)
        damage(file)
        program.write_bytes(file.bytes)
        outcome = harness.run([program], folder, timeout=LIMIT)
        if outcome.status != SEGV:
            raise AssertionError(f"{name}: {outcome}")
        report = outcome.report()
        harness.validate(report)
        crash, = report["crashes"]
        if report["counts"]["lost"] != 0 or not (outcome.output_dir / "junit.xml").exists():
            raise AssertionError(f"{name}: {outcome}")
        for suffix in (".txt", ".json", ".core"):
            if not (outcome.output_dir / "crashes" / (crash["id"] + suffix)).exists():
                raise AssertionError(f"{name}: no {suffix}; {crash.get('soft_errors')}")
        return program, crash

    def test_damaged_files(self):
        whole = harness.crashed_thread(self.whole)["frames"][0]
        self.assertEqual(whole["function"], "write_through_null")
        for name, damage in DAMAGES.items():
            with self.subTest(name):
                program, crash = self.crash_of(name, damage)
                self.assertEqual(crash["crash_info"]["signal"]["name"], "SIGSEGV")
                top = harness.crashed_thread(crash)["frames"][0]
                self.assertEqual(os.path.realpath(top["module"]), os.path.realpath(program))
                self.assertEqual(top["module_offset"], whole["module_offset"])
                said = " ".join(crash.get("soft_errors", []))
                self.assertNotIn("symbolisation failed", said)
                self.assertIn(TOLD.get(name, ""), said)


if __name__ == "__main__":
    harness.main()
