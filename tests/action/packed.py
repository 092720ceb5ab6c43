"""The programs under test as a release has them: a tarball with its sum."""

import hashlib
import pathlib
import subprocess

import harness


def sha256_of(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def pack_programs(folder):
    """Makes folder/crashcrawler-0.1.0-linux-x86_64.tar.gz of the programs under test; returns its path."""
    name = "crashcrawler-0.1.0-linux-x86_64"
    for program, place in ((harness.RUN, "bin"), (harness.RUN.with_name("crashcrawler"), "bin"),
                           (harness.PROBE, "libexec/crashcrawler")):
        (folder / name / place).mkdir(parents=True, exist_ok=True)
        # without debug information: ten times smaller, and they are unpacked often
        subprocess.run(["strip", "-g", "-o", folder / name / place / program.name, program], check=True)
    subprocess.run(["tar", "-C", folder, "-I", "gzip -1", "-cf", folder / f"{name}.tar.gz", name], check=True)
    return folder / f"{name}.tar.gz"
