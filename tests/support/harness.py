"""What the integration tests share: running the wrapper, and asking the kernel what is left of it.

The programs and folders come from the environment that CTest sets (tests/integration/CMakeLists.txt), so that the same
tests can be pointed at an installed copy.
"""

import ctypes
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import jsonschema

SKIP = 77  # exit status that CTest shows as "Skipped" (SKIP_RETURN_CODE)
HARNESS_FAILED = 125
CRASH_BEHIND_SUCCESS = 70
SUMMARY_LINES = 25  # the most that the wrapper may add to stderr
CAP_SYS_PTRACE = 19  # linux/capability.h
DEADLINE = 30  # seconds; how long an event may take before the test calls it missing

RUN = pathlib.Path(os.environ["CRASHCRAWLER_TEST_RUN"])
PROBE = pathlib.Path(os.environ["CRASHCRAWLER_TEST_PROBE"])
SOURCE = pathlib.Path(os.environ["CRASHCRAWLER_TEST_SOURCE"])
BUILD = pathlib.Path(os.environ["CRASHCRAWLER_TEST_BUILD"])

# What the wrapper is to capture with: the same tests run with both.
COLLECTOR = os.environ.get("CRASHCRAWLER_TEST_COLLECTOR", "bpf")

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


# --- what this machine allows ---------------------------------------------------------------------------------------


@functools.cache
def privilege():
    """The prefix that makes a command privileged: [] for root, ["sudo", "-n"] where that works, None for neither."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def cgroup2_mounts():
    """Mount points of cgroup2 file systems, by mountinfo (proc_pid_mountinfo(5))."""
    mounts = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.split()[0] == "cgroup2":
            mounts.append(pathlib.Path(fields.split()[4]))
    return mounts


def missing_for_capture():
    """Why no crash can be captured here, found without the programs under test; None when nothing is missing."""
    if privilege() is None:
        return "neither root nor a sudo that works without a password"
    if not pathlib.Path("/sys/kernel/btf/vmlinux").exists():
        return "the kernel has no BTF (/sys/kernel/btf/vmlinux)"
    if not cgroup2_mounts():
        return "no cgroup2 file system is mounted"
    try:
        list_bpf("prog")
    except OSError as error:
        return f"bpf(2) is not allowed: {error}"
    return None


def skip_with_sanitizers(test, reason):
    """For what the run-time library of a sanitizer needs itself: skips `test` when our programs call one (cmake --preset asan)."""
    program = RUN.read_bytes()
    if b"__asan_init" in program or b"__ubsan_handle_type_mismatch_v1" in program:
        test.skipTest(f"our programs are built with sanitizers: {reason}")


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIP)


def require_capture():
    reason = missing_for_capture() if COLLECTOR == "bpf" else None
    if reason:
        skip(reason)


def main(captures=True):
    """Runs the tests of the calling file, which are skipped where nothing can be captured, unless none of them does that.
    A test of it that was skipped makes the file a visible skip, too: CTest knows no other word for "not everything was
    tested"."""
    if captures:
        require_capture()
    result = unittest.main(argv=sys.argv[:1], verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped:
        skip("; ".join(f"{test.id()}: {reason}" for test, reason in result.skipped))


# --- running ---------------------------------------------------------------------------------------------------------


class TemporaryFolder:
    """A folder that is gone afterwards, also after a failure."""

    def __init__(self, owner=None):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="cc-test-"))
        if owner is not None:
            os.chown(self.path, owner, -1)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


class Outcome:
    """How a run of the wrapper ended and what it wrote."""

    def __init__(self, process, output_dir):
        self.status = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.output_dir = output_dir

    def report(self):
        path = self.output_dir / "report.json"
        if not path.exists():
            raise AssertionError(f"no {path.name} was written; {self}")
        return json.loads(path.read_text())

    def __str__(self):
        return f"status {self.status}\nstdout: {self.stdout}\nstderr: {self.stderr}"


def shell_status(returncode):
    """The exit status a shell would show for subprocess's returncode: 128+N for death by signal N."""
    return 128 - returncode if returncode < 0 else returncode


def wrapped(command, output_dir, *options, collector=COLLECTOR):
    """The argument list that runs `command` under the wrapper."""
    return [str(RUN), f"--collector={collector}", "--output-dir", str(output_dir), *options, "--", *map(str, command)]


def run(command, folder, *options, **popen_arguments):
    """Runs `command` under the wrapper in `folder`; the reports go to folder/out."""
    output_dir = folder / "out"
    arguments = {"cwd": folder, "capture_output": True, "text": True, **popen_arguments}
    return Outcome(subprocess.run(wrapped(command, output_dir, *options), **arguments), output_dir)


def start_watching(test, folder, *options, program=(str(RUN),), **popen_arguments):
    """The wrapper without a command, as soon as it watches what `options` attach it to; the reports go to folder/out. `test`
    ends it. `program` starts it."""
    arguments = [*program, "-v", "--output-dir", str(folder / "out"), *options]
    wrapper = subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, text=True, **popen_arguments)
    test.addCleanup(wrapper.wait)
    test.addCleanup(wrapper.kill)
    test.addCleanup(wrapper.stderr.close)
    said = ""
    for line in wrapper.stderr:
        said += line
        if "is watched until it is empty" in line:
            return wrapper
    raise AssertionError(f"it does not watch: {said}")


def installed_copy(folder):
    """Copies the two programs to where every user can reach them, unlike a build folder. Returns the wrapper."""
    folder.chmod(0o755)
    for program in (RUN, PROBE):
        shutil.copy(program, folder / program.name)
    return folder / RUN.name


def become_subreaper():
    """Makes orphans of our descendants our children (PR_SET_CHILD_SUBREAPER, prctl(2)), to be waited for."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap_orphans():
    """Waits until no child is left; returns their wait statuses by pid."""
    statuses = {}
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return statuses
        statuses[pid] = status


def wait_until(condition, what, seconds=DEADLINE):
    """For state that sends no event (the kernel's lists): polls until `condition()` is true. Returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(0.02)


# --- reports ---------------------------------------------------------------------------------------------------------


def validate(report):
    """Checks a report against the published JSON Schema."""
    schema = json.loads((SOURCE / "docs" / "report.schema.json").read_text())
    jsonschema.validate(report, schema, cls=jsonschema.validators.validator_for(schema))


def crashed_thread(crash):
    crashed = [index for index, thread in enumerate(crash["threads"]) if thread["crashed"]]
    if crashed != [crash["crash_info"]["crashing_thread"]]:
        raise AssertionError(f"{crash['id']}: threads marked as crashed: {crashed}, but crash_info says otherwise")
    return crash["threads"][crashed[0]]


def flatten(thread):
    """The frames of a thread, top first, with inlined functions as frames of their own."""
    flat = []
    for frame in thread["frames"]:
        flat += [{**frame, **inline} for inline in frame.get("inlines", [])]
        flat.append(frame)
    return flat


def is_function(frame, name):
    """True when the frame is of `name`, written with or without parameter types."""
    function = frame.get("function", "")
    return function == name or function.startswith(name + "(")


# --- the kernel's own lists ------------------------------------------------------------------------------------------


def has_capability(number):
    """In effect, of this process (capabilities(7))."""
    return bool(int(proc_status("self")["CapEff"], 16) >> number & 1)


def bpftool():
    """Path of bpftool; Debian keeps it in /usr/sbin, which a user's PATH lacks."""
    path = shutil.which("bpftool", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        skip("bpftool is not installed")
    return path


def list_bpf(kind):
    """The loaded objects ("prog", "link", "map") as bpftool shows them. It walks over ids and fails when one of them
    vanishes under its hands, so it is asked again. Error: what it says in the end."""
    for _ in range(20):
        listing = subprocess.run([*privilege(), bpftool(), "-j", kind, "list"], capture_output=True, text=True)
        if listing.returncode == 0:
            return json.loads(listing.stdout or "[]")
    raise OSError((listing.stderr + listing.stdout).strip())


def bpf_objects(kind):
    """Ids of the loaded objects. Programs of types that the probe never has are left out: on a machine with systemd
    those come and go with its units."""
    foreign = ("cgroup_device", "cgroup_skb", "cgroup_sysctl")
    return {entry["id"] for entry in list_bpf(kind) if entry.get("type") not in foreign}


def our_cgroups():
    """All cgroup directories named crashcrawler-*. Others may vanish meanwhile, a container's for example; os.walk() goes on."""
    return {os.path.join(folder, name) for mount in cgroup2_mounts() for folder, names, _ in os.walk(mount)
            for name in names if name.startswith("crashcrawler-")}


def kernel_lists():
    """Everything of ours that the kernel may hold. Without privilege nobody lists BPF objects, nor makes one."""
    kinds = ("prog", "link", "map") if privilege() is not None else ()
    return {"cgroup": our_cgroups(), **{kind: bpf_objects(kind) for kind in kinds}}


def assert_nothing_left(before):
    """Waits until everything that is not in `before` has vanished. What other runs on the machine hold for a moment
    may appear too; it goes away like ours."""
    suspects = {kind: now - before[kind] for kind, now in kernel_lists().items()}

    def gone():
        now = kernel_lists()
        return not any(suspects[kind] & now[kind] for kind in suspects)

    try:
        wait_until(gone, "all BPF objects and cgroups of this test are gone")
    except AssertionError as error:
        now = kernel_lists()
        raise AssertionError(f"left behind: { {kind: suspects[kind] & now[kind] for kind in suspects} }") from error


def proc_status(pid):
    """/proc/PID/status as a dict; None when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def end_process(pid):
    """Kills a process that a test started (negative: its process group, kill(2)), if it still lives."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
