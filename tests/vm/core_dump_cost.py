#!/usr/bin/python3
"""What a core dump through a pipe costs each crash, and what --keep-core decides: the table of docs/core-dump-cost.md.

    tests/vm/core_dump_cost.py [--kernel 6.1] [--build build/dev]

In the emulated machine of tests/vm, with systemd-coredump as Debian's package sets it up. The package is unpacked for
that, not installed: installing it changes core_pattern. systemd is not there to hold the socket behind which the rest
of systemd-coredump waits; systemd-socket-activate(1) does. Nothing is asserted: what is slow here is the emulation.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import machine

SIZES = ((1, 20), (100, 5))  # megabytes that the process has written to, crashes
SOCKET = pathlib.Path("/run/systemd/coredump")
STORED = pathlib.Path("/var/lib/systemd/coredump")
CONFIGURATION = pathlib.Path("/etc/systemd/coredump.conf")
ROOM = "[Coredump]\nMaxUse=1G\nKeepFree=1M\n"  # coredump.conf(5): by default a tenth of the machine's small disk
SECONDS = 1800
MEGABYTES = 2048


def unpack_systemd_coredump(folder):
    """Unpacks the package there; returns its version."""
    if shutil.which("systemd-socket-activate") is None:
        machine.skip("systemd is not installed")
    download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "systemd-coredump"]
    if subprocess.run(download, cwd=folder).returncode != 0:
        machine.skip("the package systemd-coredump cannot be had")
    package, = pathlib.Path(folder).glob("systemd-coredump_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    return package.name.split("_")[1]


def start_systemd_coredump(root):
    """As its package and systemd would: core_pattern, and who answers its socket. Returns that process."""
    machine.require_inside()
    settings = (root / "usr/lib/sysctl.d/50-coredump.conf").read_text()
    helper, arguments = re.search(r"^kernel\.core_pattern=\|(\S+) (.*)$", settings, re.MULTILINE).groups()
    for folder in (SOCKET.parent, STORED, pathlib.Path(helper).parent, CONFIGURATION.parent):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(f"{root}{helper}", helper)  # in the machine's copy of the file tree
    CONFIGURATION.write_text(ROOM)
    listener = subprocess.Popen(["systemd-socket-activate", "--seqpacket", "--accept", "-l", str(SOCKET), helper],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not SOCKET.exists():
        time.sleep(0.1)
    machine.pipe_cores_to(f"{helper} {arguments}")
    return listener


def stored_cores():
    """How many; waits until the last of them is written, and removes them."""
    while any(path.name.startswith(".#") for path in STORED.iterdir()):
        time.sleep(0.1)
    cores = list(STORED.iterdir())
    for core in cores:
        core.unlink()
    return len(cores)


def measure(build):
    run, crash = build / "runner" / "crashcrawler-run", build / "tests" / "vm" / "vm_time_crashes"
    with tempfile.TemporaryDirectory() as folder:
        ours = [run, "--output-dir", f"{folder}/out", "--fail-on=never"]
        ways = {
            "bare": [],
            "bare, `ulimit -c 0`": ["prlimit", "--core=0"],
            "bare, `prlimit --core=1`": ["prlimit", "--core=1"],
            "`crashcrawler-run`": [*ours, "--"],
            "`crashcrawler-run --keep-core`": [*ours, "--keep-core", "--"],
        }
        print("| | " + " | ".join(f"{size} MiB: ms per crash | cores stored" for size, _ in SIZES) + " |")
        print("|---|" + "---:|---:|" * len(SIZES), flush=True)
        for name, words in ways.items():
            cells = []
            for size, count in SIZES:
                output = subprocess.run([*words, crash, str(count), str(size)], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, check=True, text=True).stdout
                cells += [f"{statistics.median(map(float, output.split())):.0f}", f"{stored_cores()} of {count}"]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kernel", default="6.1")
    options.add_argument("--build", type=pathlib.Path, default=machine.SOURCE / "build" / "dev")
    options.add_argument("--inside", type=pathlib.Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.inside:
        listener = start_systemd_coredump(chosen.inside)
        try:
            measure(chosen.build)
        finally:
            listener.kill()
            listener.wait()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        version = unpack_systemd_coredump(folder)
        print(f"systemd-coredump {version}, Linux {chosen.kernel}, emulated", flush=True)
        command = [sys.executable, __file__, "--build", chosen.build.resolve(), "--inside", folder]
        return machine.run(chosen.kernel, SECONDS, command, MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
