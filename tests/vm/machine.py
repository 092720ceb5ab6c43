"""Starting the emulated machine, and knowing inside that one is in it."""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77
MARK = "CRASHCRAWLER_TEST_MACHINE"  # holds the release of the machine's kernel
KERNELS = "KERNEL_VM_DIR"  # where kernel-vm keeps them, if it was told


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIP)


def find_kernel_vm():
    beside = SOURCE.parent / "shared" / "tools" / "kernel-vm"
    return os.environ.get("KERNEL_VM") or shutil.which("kernel-vm") or (str(beside) if beside.exists() else None)


def run(kernel, seconds, command, megabytes=1024):
    """Runs `command` as root under another kernel and returns its exit status. Ends this program as a visible skip
    where that cannot be done."""
    kernel_vm = find_kernel_vm()
    if kernel_vm is None:
        skip("there is no program kernel-vm to start another kernel with")
    if shutil.which("qemu-system-x86_64") is None:
        skip("qemu-system-x86_64 is not installed")
    fetched = subprocess.run([kernel_vm, "fetch", kernel], stdout=subprocess.PIPE, text=True)
    if fetched.returncode != 0:
        skip(f"the kernel {kernel} cannot be had")
    environment = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("CRASHCRAWLER_TEST_")]
    environment.append(f"{MARK}={fetched.stdout.strip()}")
    environment += [f"{KERNELS}={os.environ[KERNELS]}"] if KERNELS in os.environ else []
    options = [word for pair in environment for word in ("-e", pair)]
    arguments = ["-k", kernel, "-t", str(seconds), "-m", str(megabytes), *options, "--", *map(str, command)]
    return subprocess.run([kernel_vm, "run", *arguments]).returncode


def require_inside():
    """Ends this program unless it runs in the machine: what it sets is global."""
    if os.environ.get(MARK) != os.uname().release:
        sys.exit("this is to run inside the emulated machine only")


def load_modules(*names):
    """Modules of the machine's kernel, which lie beside its image and not in its file system."""
    require_inside()
    kernels = pathlib.Path(os.environ.get(KERNELS, "/var/cache/kernel-vm"))
    folder = next((path.parents[2] for path in kernels.glob(f"*/lib/modules/{os.uname().release}")), None)
    if folder is None:
        raise unittest.SkipTest(f"the kernel's modules are not below {kernels}")
    for name in names:
        subprocess.run(["modprobe", "--dirname", folder, name], check=True)


def pipe_cores_to(helper):
    """Every core dump of the machine goes to this command line (core(5)), and a process that dies waits for it."""
    require_inside()
    pathlib.Path("/proc/sys/kernel/core_pipe_limit").write_text("16")
    pathlib.Path("/proc/sys/kernel/core_pattern").write_text(f"|{helper}")
