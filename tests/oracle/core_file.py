"""What the kernel wrote into a core about the files that were mapped (core(5), NT_FILE): the truth about which module an
address lies in, and at which of the file's own addresses."""

import functools
import pathlib
import struct

PT_LOAD, PT_NOTE = 1, 4
NT_FILE, NT_AUXV = 0x46494C45, 6
AT_SYSINFO_EHDR = 33


def program_headers(data):
    """(type, flags, offset, address, file size, memory size) of each program header of a 64-bit ELF file."""
    start, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, flags, offset, address, _, file_size, memory_size, _ = struct.unpack_from("<IIQQQQQQ", data,
                                                                                         start + number * size)
        yield kind, flags, offset, address, file_size, memory_size


@functools.cache
def segments_of(path):
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError:
        return ()
    return tuple(h for h in program_headers(data) if h[0] == PT_LOAD)


class Core:
    def __init__(self, path):
        with open(path, "rb") as file:
            header = file.read(1 << 16)
            notes = b""
            for kind, _, offset, _, size, _ in program_headers(header):
                if kind == PT_NOTE:
                    file.seek(offset)
                    notes = file.read(size)
        self.mapped = []  # (start, end, offset in the file, path)
        self.vdso = 0
        position = 0
        while position + 12 <= len(notes):
            name_size, size, kind = struct.unpack_from("<III", notes, position)
            position += 12 + (name_size + 3) // 4 * 4
            if kind == NT_FILE:
                self.read_files(notes[position:position + size])
            elif kind == NT_AUXV:
                for key, value in struct.iter_unpack("<QQ", notes[position:position + size]):
                    if key == AT_SYSINFO_EHDR:
                        self.vdso = value
            position += (size + 3) // 4 * 4

    def read_files(self, note):
        count, page = struct.unpack_from("<QQ", note)
        names = note[16 + count * 24:].split(b"\0")
        for number in range(count):
            start, end, offset = struct.unpack_from("<QQQ", note, 16 + number * 24)
            self.mapped.append((start, end, offset * page, names[number].decode()))

    def place(self, pc, caller):
        """(path, address in the file) of `pc`; ("", 0) where no file is mapped. `caller`: pc is a return address, which
        may lie one byte behind the mapping."""
        looked_up = pc - 1 if caller else pc
        for start, end, offset, path in self.mapped:
            if start <= looked_up < end:
                position = looked_up - start + offset
                for _, _, segment_offset, address, size, _ in segments_of(path):
                    first = segment_offset & ~4095
                    if first <= position < segment_offset + size:
                        return path, position - segment_offset + address + (pc - looked_up)
                return path, position + (pc - looked_up)
        if self.vdso and self.vdso <= looked_up < self.vdso + 0x2000:
            return "[vdso]", pc - self.vdso
        return "", 0
