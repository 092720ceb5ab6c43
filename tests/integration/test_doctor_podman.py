"""crashcrawler doctor in containers of a real Podman: what it finds, and that the line which it advises does mend it.

    test_doctor_podman.py ARCHIVES ROOT    the folders of packaging/make-archives and of a Debian (tests/packages/in_root)

A machine whose root may not raise limits starts no container of Podman's own: then the OCI runtime is asked that the environment
variable OCI_RUNTIME names, or runc-nosysres in ../shared/tools beside the checkout, which asks for no more than there is.
"""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tarfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

ARCHIVES, ROOT = map(pathlib.Path, sys.argv[1:])
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
        if not (ROOT / "complete").exists():
            harness.skip("there is no Debian for the containers; the test packages.root.bookworm says why")
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
            harness.skip(f"podman starts no containers here: {tried.stderr.strip()}")

    @classmethod
    def remove_cgroups(cls):
        """What Podman leaves behind with an OCI runtime that is not its own."""
        for mount in harness.cgroup2_mounts():
            for folder, _, _ in os.walk(pathlib.Path(mount) / cls.cgroup, topdown=False):
                os.rmdir(folder)

    @classmethod
    def run_podman(cls, options, *command):
        run = [*cls.podman, "run", "--rm", "--network", "none", "--pids-limit", "0", "--cgroup-parent", f"/{cls.cgroup}", *options, "-v", f"{cls.programs}:/usr/local:ro",
               "--rootfs", f"{ROOT / 'system'}:O", *command]
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", PURE_CGROUP2, "sh", *map(str, run)],
                              capture_output=True, text=True)

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


if __name__ == "__main__":
    harness.main()
