"""With a real Podman: that the line which doctor advises in a container does mend it, and containers that are wrapped from outside.

    test_podman.py ARCHIVES ROOT OTHER_ROOT PORTABLE_CRASH

The folders of packaging/make-archives and of two Debians (tests/packages/test_root.py make), the second of another release than this one.

A machine whose root may not raise limits starts no container of Podman's own: then the OCI runtime is asked that the environment
variable OCI_RUNTIME names, or runc-nosysres in ../shared/tools beside the checkout, which asks for no more than there is.
"""

import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

ARCHIVES, ROOT, OTHER_ROOT, PROGRAM = map(pathlib.Path, sys.argv[1:])
FRAMES = ["check_total", "run_suite", "start_of_program"]
# Podman sees a machine with cgroup2 alone, as nearly all are.
PURE_CGROUP2 = "umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\""


def find_runtime():
    beside = harness.SOURCE.parent / "shared" / "tools" / "runc-nosysres"
    return os.environ.get("OCI_RUNTIME") or (str(beside) if beside.exists() else None)


class InPodman(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0 or not shutil.which("podman"):
            harness.skip("needs root and podman")
        for root in (ROOT, OTHER_ROOT):
            if not (root / "complete").exists():
                harness.skip(f"there is no Debian for the containers; the test packages.root.{root.name} says why")
        cls.folder = cls.enterClassContext(harness.TemporaryFolder())
        with tarfile.open(next(ARCHIVES.glob("*.tar.gz"))) as tar:
            top = tar.getnames()[0].split("/")[0]
            tar.extractall(cls.folder)
        cls.programs = cls.folder / top
        cls.cgroup = f"podman-test-{os.getpid()}"
        cls.addClassCleanup(cls.remove_cgroups)
        cls.podman = ["podman", "--root", cls.folder / "storage", "--runroot", cls.folder / "run", "--cgroup-manager", "cgroupfs"]
        if cls.run_podman([], "true").returncode != 0 and find_runtime():
            cls.podman += ["--runtime", find_runtime()]
        tried = cls.run_podman([], "true")
        if tried.returncode != 0:
            raise unittest.SkipTest(f"podman starts no containers here: {tried.stderr.strip()}")

    @classmethod
    def remove_cgroups(cls):
        """What Podman leaves behind with an OCI runtime that is not its own."""
        for mount in harness.cgroup2_mounts():
            for folder, _, _ in os.walk(pathlib.Path(mount) / cls.cgroup, topdown=False):
                os.rmdir(folder)

    @classmethod
    def podman_run(cls, options, root, *command):
        """The command line, of words."""
        return [str(word) for word in [*cls.podman, "run", "--rm", "--network", "none", "--pids-limit", "0", "--cgroup-parent",
                                       f"/{cls.cgroup}", *options, "--rootfs", f"{root / 'system'}:O", *command]]

    @staticmethod
    def with_pure_cgroup2(words):
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", PURE_CGROUP2, "sh", *words],
                              capture_output=True, text=True)

    @classmethod
    def run_podman(cls, options, *command):
        return cls.with_pure_cgroup2(cls.podman_run([*options, "-v", f"{cls.programs}:/usr/local:ro"], ROOT, *command))

    def ask(self, options):
        done = self.run_podman(options, "/usr/local/bin/crashcrawler", "doctor", "--json")
        self.assertTrue(done.stdout.startswith("{"), f"{done.returncode}: {done.stdout}{done.stderr}")
        said = json.loads(done.stdout)
        return said, {check["check"] for check in said["checks"] if check["state"] != "ok"} - {"names"}

    def test_the_line_mends_a_plain_container(self):
        said, missing = self.ask([])
        self.assertEqual((said["place"], said["capture"], missing), ("podman", "ptrace", {"capabilities", "bpf", "cgroup", "trial"}))
        line = said["lines"]["podman"][0]  # another one installs libc6-dbg
        words = shlex.split(line)
        self.assertEqual(words[:3] + words[-4:], ["sudo", "podman", "run", "IMAGE", "crashcrawler-run", "--", "COMMAND"])
        options = words[3:-4]
        readme = (harness.SOURCE / "docker" / "README.md").read_text()
        self.assertIn(f"sudo podman run --rm {' '.join(options)} ", readme)
        mended, missing = self.ask(options)
        self.assertEqual((mended["capture"], missing), ("bpf", set()), mended)
        done = self.run_podman(options, "/usr/local/bin/crashcrawler-run", "--collector=bpf", "--output-dir", "/tmp/out", "--",
                               "sh", "-c", "kill -SEGV $$")
        self.assertEqual(done.returncode, 139, done.stderr)
        self.assertIn("SIGSEGV", done.stderr)
        self.assertNotIn("limited", done.stderr)

    def test_without_its_filter_unconfined_it_would_not(self):
        """The reason for the option; when this fails, Podman allows bpf(2) by CAP_BPF and the option can go."""
        said, missing = self.ask(["--cap-add", "BPF", "--cap-add", "PERFMON", "--security-opt", "unmask=/sys/fs/cgroup"])
        self.assertEqual((said["capture"], missing), ("ptrace", {"bpf", "trial"}))

    def test_a_crash_in_a_container_is_seen_from_outside(self):
        """With the packages of the container, which is gone by then."""
        folder = self.enterContext(harness.TemporaryFolder())
        shutil.copy(PROGRAM, folder / "crash")
        crash = self.podman_run(["-v", f"{folder}:/shared"], OTHER_ROOT, "sh", "-c", "/shared/crash; exit $?")
        done = self.with_pure_cgroup2(harness.wrapped(crash, folder / "out"))
        self.assertEqual(done.returncode, 128 + signal.SIGABRT, done.stderr)
        report = json.loads((folder / "out" / "report.json").read_text())
        harness.validate(report)
        crash, = report["crashes"]
        self.assertEqual(crash["process"]["executable"]["path"], "/shared/crash")
        self.assertEqual([frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))][-3:], FRAMES)
        package, = [module["package"] for module in crash["modules"] if module.get("soname") == "libc.so.6"]
        there = subprocess.run(["dpkg-query", f"--admindir={OTHER_ROOT}/system/var/lib/dpkg", "-W", "-f", "${Version}", "libc6"],
                               capture_output=True, text=True).stdout
        here = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libc6"], capture_output=True, text=True).stdout
        self.assertNotIn(there, ("", here))
        self.assertEqual((package["name"], package["version"]), ("libc6", there), report["soft_errors"])


if __name__ == "__main__":
    harness.main()
