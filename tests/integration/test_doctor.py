"""crashcrawler doctor in crippled environments, made for real: what it finds, its verdict and exit status, and that the lines
it advises do mend it. Those for containers are in test_doctor_docker.py."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

CRASHCRAWLER = pathlib.Path(os.environ["CRASHCRAWLER_TEST_CRASHCRAWLER"])
FIXTURE = harness.BUILD / "fixtures" / "null_write" / "fixture_null_write_O2_pie"
REFUSE = [sys.executable, str(harness.SOURCE / "tests" / "support" / "refuse_system_calls.py")]
USER = "nobody"  # has an entry everywhere, and no right to anything
AS_USER = ["setpriv", "--reuid", USER, "--regid", "nogroup", "--clear-groups"]
SCHEMA = json.loads((harness.SOURCE / "docs" / "doctor.schema.json").read_text())

FULL, LIMITED, NOTHING = 0, 1, 2


class Doctor(unittest.TestCase):
    """Every environment is a prefix of a command line. `program`: which copy is asked."""

    program = CRASHCRAWLER
    place = ["--for", "plain"]  # this machine may be a container itself

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.output = ["--output-dir", str(self.folder / "out")]
        # Where the C library has no debug information that is a finding everywhere.
        self.unmended = set() if pathlib.Path("/usr/lib/debug/.build-id").is_dir() else {"names"}

    def in_mount_namespace(self, preparation):
        """A prefix that changes what is mounted, in a mount namespace of its own."""
        return [*harness.privilege(), "unshare", "--mount", "sh", "-ec", preparation + '; exec "$@"', "sh"]

    def run_there(self, prefix, *options, **popen_arguments):
        command = [*prefix, self.program, "doctor", *self.place, *self.output, *options]
        popen_arguments = {"cwd": self.folder, "timeout": harness.DEADLINE, **popen_arguments}
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, **popen_arguments)

    def ask(self, prefix, **popen_arguments):
        """What it says as JSON, checked against the schema; its exit status is in there."""
        done = self.run_there(prefix, "--json", **popen_arguments)
        self.assertTrue(done.stdout.startswith("{"), f"{done.returncode}: {done.stdout}{done.stderr}")
        self.assertEqual(done.stderr, "")
        said = json.loads(done.stdout)
        harness.jsonschema.validate(said, SCHEMA, cls=harness.jsonschema.validators.validator_for(SCHEMA))
        self.assertEqual(done.returncode, said["exit_status"])
        return said

    def not_ok(self, said):
        return {check["check"]: check["state"] for check in said["checks"]
                if check["state"] != "ok" and check["check"] not in self.unmended}

    def expect(self, prefix, status, capture, not_ok, **popen_arguments):
        """The verdict of an environment; `not_ok`: the states of all checks that complain."""
        said = self.ask(prefix, **popen_arguments)
        self.assertEqual(self.not_ok(said), not_ok, json.dumps(said, indent=1))
        self.assertEqual((said["exit_status"], said["capture"]), (max(status, LIMITED if self.unmended else FULL), capture))
        return said

    def only_line(self, said, place="plain"):
        self.assertEqual(len(said["lines"][place]), 1, said["lines"])
        return said["lines"][place][0]

    def expect_mended(self, preparation, said, by_user=()):
        """The advised line, run after the same preparation, makes it full capture."""
        line = self.only_line(said)
        self.expect(self.in_mount_namespace(f"{preparation}; {line} >/dev/null") + [*by_user], FULL, "bpf", {})
        return line

    def run_line(self, prefix, line, *options, command=FIXTURE):
        """Runs a line with crashcrawler-run: the crash of `command` has to be reported, in the folder that the line or
        `options` name."""
        line = line.replace("crashcrawler-run", shlex.join([str(self.program.with_name("crashcrawler-run")), *options]))
        line = line.replace("COMMAND", str(command))
        return subprocess.run([*prefix, "sh", "-c", line], cwd=self.folder, capture_output=True, text=True,
                              timeout=harness.DEADLINE)


class AsRoot(Doctor):
    def setUp(self):
        super().setUp()
        if harness.privilege() != []:
            self.skipTest("not root")

    # --- nothing is missing ---------------------------------------------------------------------------------------------

    def test_this_machine(self):
        said = self.expect([], FULL, "bpf", {})
        self.assertEqual(said["lines"], {place: [] for place in SCHEMA["$defs"]["place"]["enum"]} if not self.unmended
                         else said["lines"])
        self.assertIn("Full capture" if not self.unmended else "BPF, in a cgroup", said["verdict"])

    def test_nothing_is_left(self):
        before = harness.kernel_lists()
        self.ask([])
        harness.assert_nothing_left(before)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_capabilities_that_suffice(self):
        for dropped in ("cap_sys_admin", "cap_bpf,cap_perfmon", "cap_sys_ptrace"):
            with self.subTest(dropped):
                self.expect(["capsh", f"--drop={dropped}", "--shell=/usr/bin/env", "--"], FULL, "bpf", {})

    def test_what_costs_nothing(self):
        self.expect([*REFUSE, "perf_event_open", "--"], FULL, "bpf", {})
        self.expect(["prlimit", "--core=0:0", "--memlock=0"], FULL, "bpf", {})
        self.expect(self.in_mount_namespace("mount -t proc -o hidepid=2 proc /proc"), FULL, "bpf", {})
        self.expect(["setpriv", "--no-new-privs"], FULL, "bpf", {})

    # --- BPF is missing -------------------------------------------------------------------------------------------------

    def test_hidden_types(self):
        hide = "mount --bind /dev/null /sys/kernel/btf/vmlinux"
        said = self.expect(self.in_mount_namespace(hide), LIMITED, "ptrace",
                           {"types": "missing", "kernel": "limited", "trial": "limited"})
        self.expect_mended(hide, said)

    def test_no_sys(self):
        hide = "mount -t tmpfs none /sys; mount -t tmpfs none /run"
        said = self.expect(self.in_mount_namespace(hide), LIMITED, "ptrace",
                           {"types": "missing", "kernel": "limited", "cgroup": "limited", "trial": "limited"})
        self.expect_mended(hide, said)

    def test_no_capabilities(self):
        drop = ["capsh", "--drop=cap_bpf,cap_perfmon,cap_sys_admin", "--shell=/usr/bin/env", "--"]
        said = self.expect(drop, LIMITED, "ptrace", {"capabilities": "missing", "trial": "limited"})
        self.assertEqual(said["lines"]["plain"], [])
        self.assertIn("CapabilityBoundingSet", "\n".join(said["advice"]))
        self.assertIn("--cap-add BPF --cap-add PERFMON", self.only_line(said, "docker"))

    def test_perfmon_alone_is_missing(self):
        drop = ["capsh", "--drop=cap_perfmon,cap_sys_admin", "--shell=/usr/bin/env", "--"]
        said = self.expect(drop, LIMITED, "ptrace", {"capabilities": "missing", "trial": "limited"})
        self.assertIn("CAP_PERFMON is not", json.dumps(said["checks"]))

    def test_user_namespace(self):
        said = self.expect(["unshare", "--user", "--map-root-user"], LIMITED, "ptrace",
                           {"user_namespace": "missing", "trial": "limited", "cgroup": "limited"}
                           if self.cgroup_is_closed_there() else {"user_namespace": "missing", "trial": "limited"})
        self.assertEqual(said["lines"]["plain"], [])
        self.assertIn("--userns host", self.only_line(said, "docker"))

    def cgroup_is_closed_there(self):
        return any(check["check"] == "cgroup" and check["state"] != "ok"
                   for check in self.ask(["unshare", "--user", "--map-root-user"])["checks"])

    def test_filter_that_refuses_bpf(self):
        said = self.expect([*REFUSE, "bpf", "--"], LIMITED, "ptrace", {"bpf": "missing", "trial": "limited"})
        self.assertIn("seccomp=unconfined", self.only_line(said, "docker"))
        self.assertIn("SystemCallFilter", "\n".join(said["advice"]))

    def test_few_descriptors(self):
        """So few that not even the probe can be started, or that its maps cannot be made."""
        harness.skip_with_sanitizers(self, "UndefinedBehaviorSanitizer makes pipes to look at memory")
        for few in ("8:4096", "20:4096"):
            with self.subTest(few):
                limit = ["prlimit", f"--nofile={few}"]
                said = self.expect(limit, LIMITED, "ptrace", {"descriptors": "missing", "trial": "limited"})
                line = self.only_line(said)
                self.expect([*limit, "sh", "-ec", f'{line}; exec "$@"', "sh"], FULL, "bpf", {})

    # --- the cgroup is missing ------------------------------------------------------------------------------------------

    def test_no_cgroup2(self):
        umount = "mount -t tmpfs none /run; umount --lazy " + " ".join(map(str, harness.cgroup2_mounts()))
        said = self.expect(self.in_mount_namespace(umount), LIMITED, "bpf-without-cgroup", {"cgroup": "limited"})
        self.expect_mended(umount, said)

    def test_cgroup2_that_is_read_only(self):
        lock = "mount -t tmpfs none /run; " + "; ".join(f"mount -o remount,bind,ro {mount}" for mount in harness.cgroup2_mounts())
        said = self.expect(self.in_mount_namespace(lock), LIMITED, "bpf-without-cgroup", {"cgroup": "limited"})
        self.expect_mended(lock, said)

    # --- ptrace is missing ----------------------------------------------------------------------------------------------

    def test_filter_that_refuses_ptrace(self):
        said = self.expect([*REFUSE, "ptrace", "--"], LIMITED, "bpf", {"ptrace": "missing"})
        self.assertIn("seccomp=unconfined", self.only_line(said, "docker"))

    def test_neither(self):
        said = self.expect([*REFUSE, "bpf", "ptrace", "--"], NOTHING, "none",
                           {"bpf": "missing", "ptrace": "missing", "trial": "missing"})
        self.assertEqual(said["verdict"], "Nothing can be captured here.")

    # --- what any run needs ---------------------------------------------------------------------------------------------

    def test_no_proc(self):
        harness.skip_with_sanitizers(self, "AddressSanitizer complains where there is no /proc")
        umount = "while umount --lazy /proc 2>/dev/null; do :; done"  # there may be one below it
        said = self.ask(self.in_mount_namespace(umount))
        self.assertEqual((said["exit_status"], said["capture"], self.not_ok(said)["proc"]), (NOTHING, "none", "missing"))
        self.expect_mended(umount, said)

    def test_proc_with_processes_only(self):
        mount = "mount -t proc -o subset=pid proc /proc"
        said = self.expect(self.in_mount_namespace(mount), LIMITED, "bpf", {"proc": "limited"})
        self.expect_mended(mount, said)

    def test_no_names(self):
        said = self.ask(self.in_mount_namespace("mount -t tmpfs none /usr/lib/debug"))
        self.assertEqual((said["exit_status"], said["capture"]), (LIMITED, "bpf"))
        self.assertEqual({check["check"] for check in said["checks"] if check["state"] != "ok"}, {"names"})

    def test_output_that_cannot_be_written(self):
        self.output = ["--output-dir", "/proc/out"]
        said = self.expect([], NOTHING, "bpf", {"output": "missing"})
        done = self.run_line([], self.only_line(said))
        self.assertEqual(done.returncode, 128 + 11, done.stderr)
        written = pathlib.Path(shlex.split(self.only_line(said))[2])
        self.assertTrue((written / "report.json").exists())
        shutil.rmtree(written)

    def test_full_disk(self):
        full = self.folder / "full"
        full.mkdir()
        self.output = ["--output-dir", str(full / "out")]
        fill = f"mount -t tmpfs -o size=64k none {full}; cat /dev/zero > {full}/filler 2>/dev/null || true"
        said = self.expect(self.in_mount_namespace(fill), NOTHING, "bpf", {"output": "missing"})
        self.assertIn("No space left", json.dumps(said["checks"]))

    # --- how it says it -------------------------------------------------------------------------------------------------

    def test_text(self):
        hide = self.in_mount_namespace("mount --bind /dev/null /sys/kernel/btf/vmlinux")
        said = self.ask(hide)
        done = self.run_there(hide)
        self.assertEqual((done.returncode, done.stderr), (said["exit_status"], ""))
        lines = done.stdout.splitlines()
        self.assertEqual([line.split()[:2] for line in lines[1:1 + len(said["checks"])]],
                         [[check["state"], check["check"]] for check in said["checks"]])
        self.assertEqual(lines[1 + len(said["checks"])], said["verdict"])
        self.assertIn("  " + said["lines"]["plain"][0], lines)
        self.assertNotIn("\x1b", done.stdout)

    def test_wrong_place(self):
        done = subprocess.run([CRASHCRAWLER, "doctor", "--for", "mars"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("mars", done.stderr)

    def test_the_runner_names_it(self):
        done = subprocess.run([*REFUSE, "bpf", "ptrace", "--", *harness.wrapped(["true"], self.folder / "out")],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, harness.HARNESS_FAILED)
        self.assertIn("`crashcrawler doctor` says what is missing", done.stderr)


class BareRoot(Doctor):
    """In a root of bubblewrap's that has little more than /usr: there is no mark of a container."""

    place = []
    program = pathlib.Path("/opt/crashcrawler/crashcrawler")

    def setUp(self):
        super().setUp()
        if harness.privilege() != [] or not shutil.which("bwrap"):
            self.skipTest("needs root and bubblewrap")
        self.prefix = ["bwrap", "--cap-add", "ALL", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib",
                       "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--proc", "/proc",
                       "--dev", "/dev", "--bind", "/sys", "/sys", "--ro-bind", "/etc", "/etc",
                       "--ro-bind", str(FIXTURE), "/opt/crashcrawler/victim"]
        for program in (CRASHCRAWLER, harness.RUN, harness.PROBE):
            self.prefix += ["--ro-bind", str(program), f"/opt/crashcrawler/{program.name}"]
        self.prefix += ["--chdir", "/"]
        self.output = []

    def test_no_tmp(self):
        said = self.expect([*self.prefix, "--dir", "/home", "--setenv", "HOME", "/home"], LIMITED, "bpf", {"temporary": "limited"})
        self.assertEqual(said["place"], "plain")
        line = self.only_line(said)
        done = self.run_line([*self.prefix, "--bind", str(self.folder), "/crashcrawler-out"], line, command="/opt/crashcrawler/victim")
        self.assertEqual(done.returncode, 128 + 11, done.stderr)
        variable = line.split()[0]
        self.expect([*self.prefix, "env", variable], FULL, "bpf", {})

    def test_read_only_root(self):
        said = self.expect([*self.prefix, "--bind", str(self.folder), "/tmp", "--remount-ro", "/"], NOTHING, "bpf", {"output": "missing"})
        line = self.only_line(said)
        done = self.run_line([*self.prefix, "--bind", str(self.folder), "/tmp", "--remount-ro", "/"], line,
                             command="/opt/crashcrawler/victim")
        self.assertEqual(done.returncode, 128 + 11, done.stderr)
        self.assertTrue((self.folder / "crashcrawler-out" / "report.json").exists())


class AsUser(Doctor):
    """An ordinary user, with the sudo that each test gives him."""

    SUDOERS = "mount -t tmpfs -o mode=755 none /etc/sudoers.d"

    def setUp(self):
        super().setUp()
        if harness.privilege() != []:
            self.skipTest("needs root to become somebody else")
        self.folder.chmod(0o755)
        place = self.folder / "programs"
        place.mkdir()
        harness.installed_copy(place)
        shutil.copy(CRASHCRAWLER, place)
        shutil.copy(FIXTURE, place / "victim")
        self.program = place / "crashcrawler"
        home = self.folder / "home"
        home.mkdir()
        home.chmod(0o777)
        self.output = ["--output-dir", str(home / "out")]

    def require_sudo(self):
        if not shutil.which("sudo"):
            self.skipTest("sudo is not installed")

    def with_rule(self, *lines):
        """A mount namespace where these are the only rules for the user."""
        self.require_sudo()
        write = " ".join(shlex.quote(line) for line in lines)
        return self.SUDOERS + (f"; printf '%s\\n' {write} > /etc/sudoers.d/test; chmod 440 /etc/sudoers.d/test" if lines else "")

    def test_sudo_that_lets_the_probe_start(self):
        rule = self.with_rule(f"{USER} ALL=(root) NOPASSWD: {self.program.parent}/crashcrawler-probe")
        said = self.expect(self.in_mount_namespace(rule) + AS_USER, FULL, "bpf", {})
        self.assertEqual(said["user"], 65534)

    def test_sudo_with_secure_path(self):
        rule = self.with_rule("Defaults secure_path=/nonexistent", f"{USER} ALL=(ALL) NOPASSWD: ALL")
        self.expect(self.in_mount_namespace(rule) + AS_USER, FULL, "bpf", {})

    def test_sudo_that_asks_for_a_password(self):
        for rules in ([], [f"{USER} ALL=(ALL) ALL"]):
            with self.subTest(rules=rules):
                rule = self.with_rule(*rules)
                said = self.expect(self.in_mount_namespace(rule) + AS_USER, LIMITED, "ptrace",
                                   {"privilege": "missing", "trial": "limited"})
                self.assertIn("a password is required", json.dumps(said["checks"]))
                self.assertIn("--user 0 --cap-add BPF", self.only_line(said, "docker"))
                line = self.expect_mended(rule, said, by_user=AS_USER)
                self.assertIn("sudo tee /etc/sudoers.d/zz-crashcrawler", line)

    def test_no_sudo(self):
        path = self.folder / "path"
        path.mkdir()
        environment = {**os.environ, "PATH": str(path)}
        said = self.expect([shutil.which("setpriv"), *AS_USER[1:]], LIMITED, "ptrace",
                           {"privilege": "missing", "trial": "limited"}, env=environment)
        line = self.only_line(said)
        done = self.run_line([], line, "--collector=bpf", *self.output, command=self.program.with_name("victim"))
        self.assertEqual(done.returncode, 128 + 11, done.stderr)
        report = json.loads((self.folder / "home" / "out" / "report.json").read_text())
        self.assertEqual([crash["process"]["uid"] for crash in report["crashes"]], [65534])

    def test_no_new_privileges(self):
        rule = self.with_rule(f"{USER} ALL=(ALL) NOPASSWD: ALL")
        said = self.expect(self.in_mount_namespace(rule) + [*AS_USER, "--no-new-privs"], LIMITED, "ptrace",
                           {"privilege": "missing", "trial": "limited"})
        self.assertEqual(said["lines"]["plain"], [])
        self.assertIn("NoNewPrivileges", "\n".join(said["advice"]))
        self.assertIn("--user 0", self.only_line(said, "docker"))

    def test_bounding_set(self):
        """sudo works, but root would not have what BPF needs."""
        rule = self.with_rule(f"{USER} ALL=(ALL) NOPASSWD: ALL")
        drop = ["capsh", "--drop=cap_bpf,cap_perfmon,cap_sys_admin", "--shell=/usr/bin/env", "--"]
        self.expect(self.in_mount_namespace(rule) + drop + AS_USER, LIMITED, "ptrace",
                    {"capabilities": "missing", "trial": "limited"})

    def test_hidden_processes(self):
        rule = self.with_rule(f"{USER} ALL=(ALL) NOPASSWD: ALL")
        hide = rule + "; mount -t proc -o hidepid=2 proc /proc"
        said = self.expect(self.in_mount_namespace(hide) + AS_USER, LIMITED, "bpf", {"proc": "limited"})
        self.expect_mended(hide, said, by_user=AS_USER)

    def test_neither_sudo_nor_ptrace(self):
        said = self.expect([*AS_USER, *REFUSE, "ptrace", "--"], NOTHING, "none",
                           {"privilege": "missing", "ptrace": "missing", "trial": "missing"})
        self.assertEqual(said["verdict"], "Nothing can be captured here.")


def become_root():
    """Who may become root by sudo starts over as root: most environments can be made by nobody else. Without sudo's variables,
    by which crashcrawler-run would know whom it works for."""
    if harness.privilege():
        kept = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(("CRASHCRAWLER_TEST_", "PYTHON", "PATH"))]
        forgotten = [word for name in ("SUDO_UID", "SUDO_GID", "SUDO_USER", "SUDO_COMMAND") for word in ("-u", name)]
        os.execvp("sudo", [*harness.privilege(), "env", *forgotten, *kept, sys.executable, *sys.argv])


if __name__ == "__main__":
    become_root()
    harness.main()
