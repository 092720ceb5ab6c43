"""Places where something is missing that a run needs. Each is told in a message that names it, with the documented exit status,
before the command starts; with --best-effort the command runs, and its output and exit status are its own. Where no more than BPF
is missing crashes are captured by ptrace(2), and what cannot be kept is not lost silently.

    test_wrong_place.py PROGRAM_THAT_CRASHES

What `crashcrawler doctor` says of such places: test_doctor.py. Containers: tests/docker/test_wrong_containers.py."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness
import ordinary_user

PROGRAM = pathlib.Path(sys.argv[1])
KILLED = 128 + signal.SIGSEGV
USER, AS_USER = ordinary_user.NAME, ordinary_user.BECOME
MESSAGE_LINES = 3


class Place(unittest.TestCase):
    program = harness.RUN

    def setUp(self):
        if harness.privilege() != []:
            self.skipTest("needs root to change what is mounted")
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.folder.chmod(0o777)
        self.out = self.folder / "out"

    def in_mount_namespace(self, preparation, *prefix):
        return ["unshare", "--mount", "sh", "-ec", preparation + '; exec "$@"', "sh", *prefix]

    def run_there(self, prefix, *options, command=(PROGRAM,), collector="auto", **popen_arguments):
        options = [f"--collector={collector}", "--output-dir", self.out, *options]
        done = subprocess.run(list(map(str, [*prefix, self.program, *options, "--", *command])), capture_output=True, text=True,
                              **{"cwd": self.folder, "timeout": harness.DEADLINE, **popen_arguments})
        return harness.Outcome(done, self.out)

    def refused(self, prefix, *words, **arguments):
        """The command does not start, unless --best-effort says so."""
        script = ["sh", "-c", "echo words of its own; exit 3"]
        outcome = self.run_there(prefix, command=script, **arguments)
        self.assertEqual((outcome.status, outcome.stdout), (harness.HARNESS_FAILED, ""), outcome)
        lines = outcome.stderr.splitlines()
        self.assertTrue(1 <= len(lines) <= MESSAGE_LINES, outcome)
        for word in words:
            self.assertIn(word, outcome.stderr)
        outcome = self.run_there(prefix, "--best-effort", command=script, **arguments)
        self.assertEqual((outcome.status, outcome.stdout), (3, "words of its own\n"), outcome)
        self.assertIn(words[0], outcome.stderr)  # a summary is short
        return outcome

    def captured(self, prefix, backend, *words, number=1, **arguments):
        outcome = self.run_there(prefix, **arguments)
        self.assertEqual(outcome.status, KILLED, outcome)
        report = outcome.report()
        harness.validate(report)
        self.assertEqual((report["collector"]["backend"], len(report["crashes"])), (backend, number), outcome)
        self.assertIn("SIGSEGV", outcome.stderr)
        for word in words:
            self.assertIn(word, outcome.stderr)
        return report


class NoPrivilege(Place):
    def setUp(self):
        super().setUp()
        self.program = ordinary_user.installed_copy(self.folder)
        self.victim = self.program.parent / "victim"
        shutil.copy(PROGRAM, self.victim)
        self.home = self.folder / "home"
        self.home.mkdir()
        self.home.chmod(0o777)
        self.out = self.home / "out"

    def with_rules(self, *lines, also=()):
        """An ordinary user for whom these are the only rules of sudo."""
        return ordinary_user.OrdinaryUser(rules=lines, also=also).prefix

    def test_no_sudo(self):
        path = self.folder / "path"
        path.mkdir()
        (path / "sh").symlink_to(shutil.which("sh"))
        there = {"env": {**os.environ, "PATH": str(path)}}
        prefix = [shutil.which(AS_USER[0]), *AS_USER[1:]]
        self.refused(prefix, "sudo", collector="bpf", **there)
        self.captured(prefix, "ptrace", "sudo", command=(self.victim,), **there)

    def test_folder_of_path_that_is_closed(self):
        """As for a shell it is not there; but that it may have had the command is said."""
        closed = self.folder / "closed"
        closed.mkdir(mode=0o700)
        shutil.copy(PROGRAM, closed / "victim")
        there = {"env": {**os.environ, "PATH": f"{closed}:{os.environ['PATH']}:{self.victim.parent}"}}
        self.captured(AS_USER, "ptrace", collector="ptrace", command=("victim",), **there)
        outcome = self.run_there(AS_USER, command=("no-such-command",), **there)
        self.assertEqual(outcome.status, 127, outcome)
        self.assertRegex(outcome.stderr, rf"command not found: 'no-such-command' .*; {closed} may not be searched")

    def test_sudo_that_asks_for_a_password(self):
        for rules in ((), (f"{USER} ALL=(ALL) ALL",)):
            with self.subTest(rules):
                prefix = self.with_rules(*rules)
                self.refused(prefix, "sudo", "a password is required", collector="bpf")
                self.captured(prefix, "ptrace", "a password is required", command=(self.victim,))

    def test_sudo_with_secure_path(self):
        """The probe is not in there; it is started by its full path."""
        prefix = self.with_rules("Defaults secure_path=/nonexistent", f"{USER} ALL=(ALL) NOPASSWD: ALL")
        self.captured(prefix, "bpf", collector="bpf", command=(self.victim,))

    def test_sudo_that_may_not_start_the_probe(self):
        prefix = self.with_rules(f"{USER} ALL=(ALL) NOPASSWD: /usr/bin/true")
        self.refused(prefix, "a password is required", "sudo", collector="bpf")

    def test_processes_are_hidden(self):
        """The wrapper sees those of its own user, and root's probe sees all."""
        prefix = self.with_rules(f"{USER} ALL=(ALL) NOPASSWD: ALL", also=["mount -t proc -o hidepid=2 proc /proc"])
        report = self.captured(prefix, "bpf", collector="bpf", command=(self.victim,))
        functions = [frame.get("function") for frame in harness.crashed_thread(report["crashes"][0])["frames"]]
        self.assertEqual(functions[:4], ["write_through_null", "save_score", "finish_game", "main"])
        self.captured(self.in_mount_namespace("mount -t proc -o hidepid=2 proc /proc", *AS_USER), "ptrace", collector="ptrace",
                      command=(self.victim,))


class NoMemory(Place):
    def test_that_of_the_run_ends_as_no_command_does(self):
        """From what is just enough to be loaded to enough for all, so that it ends at many places."""
        harness.skip_with_sanitizers(self, "AddressSanitizer reserves terabytes")
        statuses = []
        for mebibytes in range(12, 36):
            limit = ["prlimit", f"--as={mebibytes << 20}"]
            if subprocess.run([*limit, self.program, "--version"], capture_output=True).returncode != 0:
                continue
            with self.subTest(mebibytes):
                outcome = self.run_there(limit, command=("true",))
                self.assertIn(outcome.status, (0, harness.HARNESS_FAILED), outcome)
                statuses.append(outcome.status)
        self.assertIn(harness.HARNESS_FAILED, statuses)


class NoFileSystem(Place):
    def test_no_proc(self):
        harness.skip_with_sanitizers(self, "AddressSanitizer complains where there is no /proc")
        umount = self.in_mount_namespace("while umount --lazy /proc 2>/dev/null; do :; done")  # there may be one below it
        self.refused(umount, "is /proc mounted?", collector="bpf")
        report = self.captured(umount, "ptrace", "is /proc mounted?", "1 crash is not complete", f". {PROGRAM.name[:15]}: SIGSEGV")
        crash, = report["crashes"]
        self.assertEqual((crash["status"], crash["process"]["name"]), ("TRUNCATED", PROGRAM.name[:15]))
        # the program is known by what was executed, as long a name as the kernel's own
        self.assertEqual(crash["id"], f"0001-{PROGRAM.name[:15]}-SIGSEGV")
        self.assertEqual({path.name.removeprefix(crash["id"]) for path in (self.out / "crashes").iterdir()} - {".core"},
                         {".json", ".txt", ".repro.sh"})

    def test_no_proc_of_a_child_that_executes_nothing(self):
        if not shutil.which("perl"):
            self.skipTest("perl is not installed")
        umount = self.in_mount_namespace("while umount --lazy /proc 2>/dev/null; do :; done")
        fork = 'if (!fork) { kill "ABRT", $$ } wait; kill "SEGV", $$'
        report = self.captured(umount, "ptrace", command=("perl", "-e", fork), number=2)
        self.assertEqual([crash["id"] for crash in report["crashes"]], ["0001-perl-SIGABRT", "0002-perl-SIGSEGV"])
        self.assertEqual(report["counts"]["lost"], 0)
        self.assertEqual([parent["name"] for parent in report["crashes"][0]["process"]["ancestors"]], ["perl"])

    def test_no_place_for_temporary_files(self):
        """All of it is read-only, and what is needed of this folder is at /mnt."""
        harness.installed_copy(self.folder)
        shutil.copy(PROGRAM, self.folder / "victim")
        self.program = pathlib.Path("/mnt") / harness.RUN.name
        hide = "; ".join(f"mount -t tmpfs -o ro none {place}" for place in ("/tmp", "/var/tmp", "/dev/shm"))
        there = self.in_mount_namespace(f"mount --bind {self.folder} /mnt; {hide}; cd /mnt")
        self.out = pathlib.Path("out")
        for environment in ({}, {"TMPDIR": "/nonexistent"}):
            with self.subTest(environment):
                outcome = self.run_there(there, command=("/mnt/victim",), env={**os.environ, **environment})
                self.assertEqual(outcome.status, KILLED, outcome)
                crash, = json.loads((self.folder / "out" / "report.json").read_text())["crashes"]
                self.assertEqual(harness.crashed_thread(crash)["frames"][0]["function"], "write_through_null")
                self.assertIn("libc6", [module["package"]["name"] for module in crash["modules"] if module.get("package")])

    def test_output_on_a_read_only_file_system(self):
        place = self.folder / "place"
        place.mkdir()
        self.out = place / "out"
        read_only = self.in_mount_namespace(f"mount -t tmpfs -o ro none {place}")
        outcome = self.refused(read_only, str(self.out), "Read-only file system", "--output-dir")
        self.assertIn("there will be no report", outcome.stderr)
        outcome = self.run_there(read_only, "--best-effort")
        self.assertEqual(outcome.status, KILLED, outcome)
        self.assertIn("write_through_null", outcome.stderr)
        self.assertTrue(outcome.stderr.endswith("crashcrawler: there is no report\n"), outcome)

    def test_foreign_report_is_never_replaced(self):
        self.out.mkdir()
        foreign = self.out / "junit.xml"
        foreign.write_text("<testsuites/>")
        self.refused([], str(foreign), "--output-dir")
        self.run_there([], "--best-effort")
        self.assertEqual((foreign.read_text(), [path.name for path in self.out.iterdir()]), ("<testsuites/>", ["junit.xml"]))


class FullDisk(Place):
    """The reports go to a small tmpfs, of which the command leaves so much."""

    SIZE = 192 << 10
    STEP = 12 << 10

    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.out = self.disk / "out"
        self.kept = self.folder / "kept"

    def run_with_room(self, room, *options):
        """Copies what was written, for it goes with the mount namespace."""
        shutil.rmtree(self.kept, ignore_errors=True)
        prepare = f"mount -t tmpfs -o size={self.SIZE} none {self.disk}"
        keep = f'{prepare}; status=0; "$@" || status=$?; cp -r {self.out} {self.kept}; exit $status'
        command = f"head -c {self.SIZE - room} /dev/zero > {self.disk}/filler 2>/dev/null; echo words of its own; exec {PROGRAM}"
        outcome = self.run_there(["unshare", "--mount", "sh", "-ec", keep, "sh"], *options, command=("sh", "-c", command))
        self.assertEqual(outcome.stdout, "words of its own\n", outcome)
        return outcome

    def test_what_is_there_is_whole_and_what_is_not_is_said(self):
        ends, cores = set(), set()
        for room in range(0, self.SIZE + 1, self.STEP):
            with self.subTest(room=room):
                outcome = self.run_with_room(room)
                self.assertIn("SIGSEGV", outcome.stderr)
                self.assertIn("write_through_null", outcome.stderr)
                ends.add(outcome.status)
                written = {path.name for path in self.kept.rglob("*") if path.is_file()}
                for path in self.kept.rglob("*.json"):
                    json.loads(path.read_text())
                for path in self.kept.glob("junit.xml"):
                    xml.etree.ElementTree.parse(path)
                self.assertEqual([name for name in written if ".tmp" in name], [])
                if outcome.status == KILLED:
                    self.assertLessEqual({"report.json", "junit.xml"}, written)
                    crash, = json.loads((self.kept / "report.json").read_text())["crashes"]
                    had_core = any(name.endswith(".core") for name in written)
                    self.assertEqual([artifact["type"] for artifact in crash["artifacts"]].count("core"), had_core)
                    self.assertEqual(any(error.startswith("there is no core") for error in crash["soft_errors"]), not had_core)
                    cores.add(had_core)
                else:
                    self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
                    self.assertNotIn("report.json", written)
                    self.assertRegex(outcome.stderr.splitlines()[-1],
                                     rf"cannot write {self.out}/\S+: No space left on device; what is in {self.out} is not complete$")
        self.assertEqual(ends, {KILLED, harness.HARNESS_FAILED})
        self.assertEqual(cores, {False, True}, "where there is little room the core is given up for the reports")

    def test_best_effort(self):
        outcome = self.run_with_room(0, "--best-effort")
        self.assertEqual(outcome.status, KILLED, outcome)
        self.assertIn("is not complete", outcome.stderr.splitlines()[-1])

    def fill(self):
        return f"head -c {self.SIZE * 2} /dev/zero > {self.disk}/filler 2>/dev/null"

    def run_beside(self, script, *options):
        """The reports go elsewhere; only other files are on the disk."""
        self.out = self.folder / "out"
        shutil.rmtree(self.kept, ignore_errors=True)
        keep = f'mount -t tmpfs -o size={self.SIZE} none {self.disk}; status=0; "$@" || status=$?; cp -r {self.disk} {self.kept}; exit $status'
        outcome = self.run_there(["unshare", "--mount", "sh", "-ec", keep, "sh"], *options, command=("sh", "-c", f"{script}; exit 3"))
        self.assertEqual(outcome.status, 3, outcome)
        self.assertEqual(outcome.report()["counts"]["crashes"], 1)
        return outcome

    def test_recording(self):
        outcome = self.run_beside(f"{PROGRAM} 2>/dev/null", "--record", self.disk / "run")
        self.assertNotIn("cut", outcome.stderr)
        outcome = self.run_beside(f"{self.fill()}; {PROGRAM} 2>/dev/null", "--record", self.disk / "run")
        self.assertIn("the recording is cut: cannot write", outcome.stderr)

    def test_junit_file_of_the_test_runner(self):
        """It is left as it was, whole."""
        if not shutil.which("ctest"):
            self.skipTest("ctest is not installed")
        (self.folder / "CTestTestfile.cmake").write_text(f'add_test(bad "{PROGRAM}")\n')
        outcome = self.run_beside(f"ctest --output-junit {self.disk}/junit.xml >/dev/null 2>&1; {self.fill()}")
        self.assertRegex(outcome.stderr, f"JUnit file {self.disk}/junit.xml was left as it is: .*No space left on device")
        suite = xml.etree.ElementTree.parse(self.kept / "junit.xml").getroot()
        self.assertEqual([case.get("name") for case in suite.findall("testcase")], ["bad"])
        self.assertEqual(sorted(path.name for path in self.kept.iterdir()), ["filler", "junit.xml"])

    def test_no_crash(self):
        outcome = self.run_there(self.in_mount_namespace(f"mount -t tmpfs -o size={self.SIZE} none {self.disk}"),
                                 command=("sh", "-c", f"cat /dev/zero > {self.disk}/filler 2>/dev/null; exit 0"))
        self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
        self.assertIn("No space left on device", outcome.stderr)


if __name__ == "__main__":
    harness.main()
