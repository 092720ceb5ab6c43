#!/usr/bin/python3
"""Makes fixtures/recorded/: small runs of fixtures, to be replayed by tests/integration/replay_recorded.py.

    make_recordings.py WRAPPER [BEHAVIOUR...]

To be run by root whenever the layout of the records changes (CC_RECORD_VERSION). The programs are linked statically,
so that a replay finds none of their files anywhere (what is only seen in them, such as the frame of a signal handler,
cannot be a recording here), and run in a folder that exists in a mount namespace only, in an
environment made for it: a recording holds memory, and nothing of the machine and its users may get into the sources.
"""

import getpass
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BEHAVIOURS = (
    "null_write", "double_free", "bus_error_truncated_mapping", "worker_thread", "leader_gone", "ended_by_timeout",
    # shapes of descendants
    "forked_child", "vfork_child", "posix_spawned_child", "daemon_grandchild", "exec_chain", "exec_by_thread",
    "constructor", "atexit_handler", "not_dumpable", "own_sub_cgroup", "control_characters",
    # controls
    "exit_3", "faults_then_exit_3", "sigterm_from_parent",
)
MOST_BYTES = 40_000

# $1 the program as built, $2 the name it gets, then the wrapper with its options
RUN_IN_A_PLACE_OF_ITS_OWN = """
mount -t tmpfs none /mnt && mkdir /mnt/fixture && cd /mnt/fixture && cp "$1" "$2" || exit 1
program=$2; shift 2
exec env -i PATH=/usr/bin:/bin LC_ALL=C "$@" -- "/mnt/fixture/$program"
"""


def build(behaviour, folder):
    program = folder / f"fixture_{behaviour}"  # gives its threads the names that expected.json has
    source, = (path for path in (SOURCE / "fixtures" / behaviour).glob(f"{behaviour}.c*"))
    compiler = "cc" if source.suffix == ".c" else "c++"
    subprocess.run([compiler, "-static", "-O0", "-fno-omit-frame-pointer", "-pthread", f"-I{SOURCE}", "-o", program,
                    source], check=True)
    return program


def record(wrapper, program, recording):
    command = [wrapper, "--output-dir", "/mnt/fixture/out", "--stack-size", "8K", "--thread-stack-size", "4K",
               "--record", recording]
    status = subprocess.run(["unshare", "--mount", "sh", "-c", RUN_IN_A_PLACE_OF_ITS_OWN, "sh", program, program.name,
                             *command]).returncode
    if not recording.exists() or status in (125, 126, 127):
        sys.exit(f"{program.name}: could not be recorded")


def with_plain_kernel_name(content):
    """The first message after the first line says on what it was run (runner/capture/recording.h). Of the kernel its
    version is kept, not the name that whoever built it gave it."""
    begin = content.index(b"\n") + 1
    kind, version, size = struct.unpack_from("=HHI", content, begin)
    run = json.loads(content[begin + 8:begin + size])
    run["system"]["kernel"] = re.match(r"[0-9.]*", run["system"]["kernel"])[0]
    text = json.dumps(run).encode()
    return content[:begin] + struct.pack("=HHI", kind, version, 8 + len(text)) + text + content[begin + size:]


def names_of_this_machine(*folders):
    return {getpass.getuser(), socket.gethostname(), os.uname().release, os.environ.get("HOME", ""), *map(str, folders)} - {"", "/"}


def assert_neutral(content, names):
    """None of the names stands in `content` as a word of a text."""
    texts = b"\n".join(re.findall(rb"[\x20-\x7e]{4,}", content))
    for name in names:
        if re.search(rb"(?<![A-Za-z0-9])" + re.escape(os.fsencode(name)) + rb"(?![A-Za-z0-9])", texts):
            sys.exit(f"{name!r} is in the recording")


def main():
    if len(sys.argv) < 2 or os.geteuid() != 0:
        sys.exit("usage, as root: make_recordings.py WRAPPER [BEHAVIOUR...]")
    wrapper = pathlib.Path(sys.argv[1]).resolve()
    for behaviour in sys.argv[2:] or BEHAVIOURS:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            recording = folder / "recording"
            record(wrapper, build(behaviour, folder), recording)
            content = with_plain_kernel_name(recording.read_bytes())
        assert_neutral(content, names_of_this_machine(folder, SOURCE, wrapper.parent))
        if len(content) > MOST_BYTES:
            sys.exit(f"{behaviour}: {len(content)} bytes are too many")
        (SOURCE / "fixtures" / "recorded" / f"{behaviour}.recording").write_bytes(content)
        print(f"{behaviour}: {len(content)} bytes")


if __name__ == "__main__":
    main()
