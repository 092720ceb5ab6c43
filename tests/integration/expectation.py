"""What fixtures/<behaviour>/expected.json asks for (format: fixtures/README.md): read, and made to run here."""

import ctypes
import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

ELF_CLASS_32 = 1  # e_ident[EI_CLASS], elf(5)


def read(behaviour, flavour=None):
    expected = json.loads((harness.SOURCE / "fixtures" / behaviour / "expected.json").read_text())
    expected = {**expected, **expected.get("flavours", {}).get(flavour, {})}
    traced = harness.COLLECTOR == "ptrace"
    if traced or not function_hooks():
        expected |= expected.get("without_function_hooks", {})
    if traced:
        expected |= expected.get("ptrace", {})
    if traced and not harness.has_capability(harness.CAP_SYS_PTRACE):
        expected |= expected.get("ptrace_without_capability", {})
    return {field: value for field, value in expected.items() if value is not None}


def function_hooks():
    """Whether programs can be hooked to functions of this kernel, and rt_sigreturn(2) is one of them: CONFIG_FUNCTION_TRACER."""
    try:
        functions = pathlib.Path("/sys/kernel/tracing/available_filter_functions").read_text().split()
    except OSError:
        return False
    return not {"__do_sys_rt_sigreturn", "__x64_sys_rt_sigreturn"}.isdisjoint(functions)


def command(expected, program, folder):
    """The argument list to run in `folder`: the program alone, or what "command" makes of it."""
    places = {"program": program, "folder": folder, "run": harness.RUN}
    return [word.format(**places) for word in expected.get("command", ["{program}"])]


# --- what a fixture may need; each says why it is not there, or returns None ----------------------------------------


def root(_):
    return None if os.geteuid() == 0 else "the tests do not run as root"


def setuid_programs(_):
    folder = tempfile.gettempdir()
    return f"{folder} is mounted with nosuid" if os.statvfs(folder).f_flag & os.ST_NOSUID else None


def writable_cgroup2(_):
    mount = harness.cgroup2_mounts()[0]
    return None if os.access(mount, os.W_OK) else f"no cgroup can be made in {mount}"


def works(*command):
    """None when the command succeeds, otherwise what it says."""
    try:
        process = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return None if process.returncode == 0 else process.stderr.strip()


def user_namespaces(_):
    return works("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount", "true")


def unshare(_):
    return works("unshare", "--fork", "true")


def clone3(_):
    """Without arguments it is refused with EINVAL where it is there. Its number is that of x86-64."""
    ctypes.CDLL(None, use_errno=True).syscall(435, None, 0)
    return os.strerror(errno.ENOSYS) if ctypes.get_errno() == errno.ENOSYS else None


def bubblewrap(_):
    return works("bwrap", "--dev-bind", "/", "/", "--unshare-pid", "true")


def overlayfs(_):
    return works("unshare", "--mount", "mount", "-t", "overlay", "none", "-o", "lowerdir=/etc:/usr", "/mnt")


def programs_for_32_bits(program):
    if pathlib.Path(program).read_bytes()[4] != ELF_CLASS_32:
        return "the C compiler cannot build for 32 bits (gcc-multilib)"
    return works("/lib/ld-linux.so.2", "--version")


def sanitizers_of_clang(program):
    if b"__msan_init" not in pathlib.Path(program).read_bytes():
        return "clang cannot build with -fsanitize=memory (libclang-rt-dev)"
    return None


CAPABILITIES = {
    "root": root,
    "setuid programs": setuid_programs,
    "writable cgroup2": writable_cgroup2,
    "bubblewrap": bubblewrap,
    "overlayfs": overlayfs,
    "user namespaces": user_namespaces,
    "unshare(2)": unshare,
    "clone3(2)": clone3,
    "clang's sanitizers": sanitizers_of_clang,
    "32-bit programs": programs_for_32_bits,
}


def require(expected, program):
    """Ends the test as skipped when something is missing that "needs" names: a capability, or a program in PATH."""
    for need in expected.get("needs", []):
        if need in CAPABILITIES:
            reason = CAPABILITIES[need](program)
        else:
            reason = None if shutil.which(need) else "not installed"
        if reason:
            harness.skip(f"{need}: {reason}")
