"""crashcrawler doctor in containers of a real engine: where it believes to be, what it finds, and that what it advises for
containers does mend it. Lines of Docker and GitHub are run as they are; those of Kubernetes and GitLab are read as YAML and TOML
and run by the options of Docker that mean the same. For Podman's there is test_podman.py.

The image has no shell and nothing else but the programs and their libraries."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import docker
import harness

CRASHCRAWLER = pathlib.Path(os.environ["CRASHCRAWLER_TEST_CRASHCRAWLER"])
FIXTURE = harness.BUILD / "fixtures" / "null_write" / "fixture_null_write_O2_pie"
IMAGE = "crashcrawler-doctor-test"
SCHEMA = json.loads((harness.SOURCE / "docs" / "doctor.schema.json").read_text())
CAPABILITIES = ["--cap-add", "BPF", "--cap-add", "PERFMON"]
CGROUP = ["--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
SEGMENTATION_FAULT = 128 + 11


def libraries_of(programs):
    """What the dynamic linker loads for them (ldd(1)), with itself."""
    found = set()
    for program in programs:
        listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        found |= set(re.findall(r"(/\S+) \(0x", listing))
    return found


def debug_file_of(library):
    notes = subprocess.run(["readelf", "-n", library], capture_output=True, text=True, check=True).stdout
    build_id = re.search(r"Build ID: (\w+)", notes)[1]
    return pathlib.Path(f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug")


class InContainers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = docker.connect()
        cls.folder = cls.enterClassContext(harness.TemporaryFolder())
        programs = (CRASHCRAWLER, harness.RUN, harness.PROBE, FIXTURE)
        cls.libraries = libraries_of(programs)
        cls.debug_file = debug_file_of("/lib/x86_64-linux-gnu/libc.so.6")
        if not cls.debug_file.exists():
            raise unittest.SkipTest("the C library has no debug information here (libc6-dbg)")
        archive = cls.folder / "image.tar"
        with tarfile.open(archive, "w") as tar:
            tar.dereference = True
            for program in programs:
                stripped = cls.folder / program.name
                subprocess.run(["strip", "-o", stripped, program], check=True)
                tar.add(stripped, "bin/" + ("victim" if program is FIXTURE else program.name))
            for library in cls.libraries:
                tar.add(library, library[1:])
            tar.add(cls.debug_file, str(cls.debug_file)[1:])
            scratch = tarfile.TarInfo("tmp")
            scratch.type, scratch.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(scratch)
        cls.engine.docker("import", archive, IMAGE)
        cls.addClassCleanup(cls.engine.docker, "image", "rm", "--force", IMAGE, check=False)

    def ask(self, *options):
        done = self.engine.run("/bin/crashcrawler", "doctor", "--json", "--output-dir", "/tmp/out", options=options, image=IMAGE)
        self.assertTrue(done.stdout.startswith("{"), f"{done.returncode}: {done.stdout}{done.stderr}")
        said = json.loads(done.stdout)
        harness.jsonschema.validate(said, SCHEMA, cls=harness.jsonschema.validators.validator_for(SCHEMA))
        self.assertEqual(done.returncode, said["exit_status"])
        return said

    def expect(self, options, status, capture, *not_ok, place="docker"):
        said = self.ask(*options)
        found = [check["check"] for check in said["checks"] if check["state"] != "ok"]
        self.assertEqual((said["exit_status"], said["capture"], found), (status, capture, list(not_ok)), json.dumps(said, indent=1))
        self.assertEqual(said["place"], place)
        return said

    def only_line(self, said, place="docker"):
        self.assertEqual(len(said["lines"][place]), 1, said["lines"])
        return said["lines"][place][0]

    def run_docker_line(self, line):
        """The line as it is, with an image and a command that crashes; returns its options."""
        words = shlex.split(line)
        self.assertEqual(words[:2] + words[-4:], ["docker", "run", "IMAGE", "crashcrawler-run", "--", "COMMAND"])
        done = self.engine.docker("run", "--rm", "--network", "none", *words[2:-4], IMAGE, "/bin/crashcrawler-run",
                                  "--collector=bpf", "--", "/bin/victim", check=False)
        self.assertEqual(done.returncode, SEGMENTATION_FAULT, done.stderr)
        self.assertIn("SIGSEGV", done.stderr)
        self.assertNotIn("followed from fork to fork", done.stderr)
        return words[2:-4]

    def expect_mended(self, said):
        """The line makes it full capture."""
        options = self.run_docker_line(self.only_line(said))
        self.expect(options, 0, "bpf")
        return options

    def test_plain_container(self):
        said = self.expect([], 1, "ptrace", "capabilities", "bpf", "cgroup", "trial")
        self.assertEqual(self.expect_mended(said), CAPABILITIES + CGROUP)

    def test_privileged(self):
        self.expect(["--privileged"], 0, "bpf")

    def test_capabilities_alone(self):
        said = self.expect(CAPABILITIES, 1, "bpf-without-cgroup", "cgroup")
        self.expect_mended(said)

    def test_cgroup_alone(self):
        said = self.expect(CGROUP, 1, "ptrace", "capabilities", "bpf", "trial")
        self.expect_mended(said)
        self.assertEqual(self.kubernetes_options(said), CAPABILITIES)
        self.expect(CGROUP + self.kubernetes_options(said), 0, "bpf")

    def test_ordinary_user(self):
        said = self.expect(["--user", "65534"], 1, "ptrace", "privilege", "capabilities", "bpf", "cgroup", "trial")
        self.assertEqual(self.expect_mended(said), ["--user", "0", *CAPABILITIES, *CGROUP])

    def test_no_new_privileges(self):
        said = self.expect(["--user", "65534", "--security-opt", "no-new-privileges"], 1, "ptrace",
                           "privilege", "capabilities", "bpf", "cgroup", "trial")
        self.expect_mended(said)

    def refusing(self, *calls):
        profile = self.folder / "seccomp.json"
        profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": list(calls), "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}))
        return ["--security-opt", f"seccomp={profile}"]

    def test_filter_that_refuses_bpf(self):
        said = self.expect(CAPABILITIES + CGROUP + self.refusing("bpf"), 1, "ptrace", "bpf", "trial")
        self.expect_mended(said)

    def test_filter_that_refuses_both(self):
        said = self.expect(self.refusing("bpf", "ptrace"), 2, "none", "capabilities", "bpf", "cgroup", "ptrace", "trial")
        self.expect_mended(said)

    def test_read_only_root(self):
        options = ["--read-only", *CAPABILITIES, *CGROUP]
        said = self.expect(options, 2, "bpf", "output", "temporary")
        words = shlex.split(self.only_line(said))
        self.assertEqual(words[1:], ["crashcrawler-run", "--output-dir", "/dev/shm/crashcrawler-out", "--", "COMMAND"])
        done = self.engine.run("/bin/crashcrawler-run", *words[2:-1], "/bin/victim", options=[*options, "-e", words[0]], image=IMAGE)
        self.assertEqual(done.returncode, SEGMENTATION_FAULT, done.stderr)

    def test_lines_for_a_user_namespace(self):
        """The engine has none to offer, so they come from outside."""
        done = subprocess.run(["unshare", "--user", "--map-root-user", CRASHCRAWLER, "doctor", "--json", "--output-dir", self.folder],
                              capture_output=True, text=True)
        options = self.run_docker_line(self.only_line(json.loads(done.stdout)))
        self.assertIn("--userns", options)
        self.expect(options, 0, "bpf")

    def test_few_descriptors(self):
        said = self.expect([*CAPABILITIES, *CGROUP, "--ulimit", "nofile=20"], 1, "ptrace", "descriptors", "trial")
        self.expect_mended(said)

    def test_limit_of_core_files(self):
        """What is advised where a helper takes core dumps and RLIMIT_CORE is 0."""
        self.expect([*CAPABILITIES, *CGROUP, "--ulimit", "core=1"], 0, "bpf")

    # --- other places, in this engine -----------------------------------------------------------------------------------

    def test_github(self):
        said = self.expect(["-e", "GITHUB_ACTIONS=true"], 1, "ptrace", "capabilities", "bpf", "cgroup", "trial", place="github")
        line = self.only_line(said, "github")
        self.assertEqual(self.yaml(line), {"options": line.removeprefix("options: ")})
        options = shlex.split(line.removeprefix("options: "))
        self.assertEqual(["docker", "run", *options], shlex.split(self.only_line(said))[:2 + len(options)])
        self.expect([*options, "-e", "GITHUB_ACTIONS=true"], 0, "bpf", place="github")

    def test_gitlab(self):
        said = self.expect(["-e", "GITLAB_CI=true", "--user", "65534"], 1, "ptrace", "privilege", "capabilities", "bpf", "cgroup", "trial",
                           place="gitlab")
        settings = tomllib.loads("\n".join(["[runners.docker]", *said["lines"]["gitlab"]]))["runners"]["docker"]
        self.assertEqual(settings, {"privileged": True, "user": "0"})
        self.expect(["--privileged", "--user", settings["user"], "-e", "GITLAB_CI=true"], 0, "bpf", place="gitlab")

    def yaml(self, text):
        try:
            import yaml
        except ImportError:
            self.skipTest("python3-yaml is not installed")
        return yaml.safe_load(text)

    def kubernetes_options(self, said):
        """The options of Docker that mean what the line for Kubernetes asks for."""
        context = self.yaml(self.only_line(said, "kubernetes"))["securityContext"]
        self.assertLessEqual(context.keys(), {"privileged", "capabilities", "runAsUser"})
        return [*(["--privileged"] if context.get("privileged") else []),
                *(word for name in context.get("capabilities", {}).get("add", []) for word in ("--cap-add", name)),
                *(["--user", str(context["runAsUser"])] if "runAsUser" in context else [])]

    def test_kubernetes(self):
        mark = ["-e", "KUBERNETES_SERVICE_HOST=10.0.0.1"]
        said = self.expect(mark, 1, "ptrace", "capabilities", "bpf", "cgroup", "trial", place="kubernetes")
        self.assertEqual(self.kubernetes_options(said), ["--privileged"])
        self.expect([*self.kubernetes_options(said), *mark], 0, "bpf", place="kubernetes")
        said = self.expect(["--user", "65534", *mark], 1, "ptrace", "privilege", "capabilities", "bpf", "cgroup", "trial", place="kubernetes")
        self.expect([*self.kubernetes_options(said), *mark], 0, "bpf", place="kubernetes")

    # --- what is installed ----------------------------------------------------------------------------------------------

    def test_debug_information_is_installed(self):
        """In a Debian without: the line brings it."""
        place = self.folder / "programs"
        shutil.copytree(self.folder, place, ignore=lambda _, names: [name for name in names if not name.startswith("crashcrawler")])
        for library in self.libraries:
            if "libc.so" not in library and "ld-linux" not in library:
                shutil.copy(library, place)
        ask = "LD_LIBRARY_PATH=/programs /programs/crashcrawler doctor --json --output-dir /tmp/out"
        options = ["-v", f"{place}:/programs:ro", *CAPABILITIES, *CGROUP]

        def run(script):
            return self.engine.docker("run", "--rm", "--network", "host", *options, docker.BASE, "sh", "-c", script, check=False)

        said = json.loads(run(ask).stdout)
        self.assertEqual([check["check"] for check in said["checks"] if check["state"] != "ok"], ["names"])
        line = self.only_line(said)
        done = run(f"apt-get update >&2 || exit 77; {{ {line}; }} >&2 || exit 1; {ask}")
        if done.returncode == 77:
            self.skipTest(f"no packages can be had: {done.stderr}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["verdict"], "Full capture: crashes are captured by BPF, in a cgroup.")


if __name__ == "__main__":
    harness.main()
