"""The command cannot tell that it runs under the wrapper, and neither can who started it."""

import json
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness
from terminal import Terminal

REPORTER = [sys.executable, str(pathlib.Path(__file__).resolve().parents[1] / "support" / "signal_reporter.py")]
NOBODY = 65534


class Transparency(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())

    def both(self, command, *options, **popen_arguments):
        """The same command without and with the wrapper, from the same folder."""
        arguments = {"cwd": self.folder, "capture_output": True, **popen_arguments}
        bare = subprocess.run(command, **arguments)
        wrapped = subprocess.run(harness.wrapped(command, self.folder / "out", *options), **arguments)
        self.assertEqual(wrapped.returncode, harness.shell_status(bare.returncode), wrapped)
        return bare, wrapped

    def start(self, command, *options):
        """Starts the wrapper in a session of its own, so that a stray signal cannot reach the test."""
        process = subprocess.Popen(harness.wrapped(command, self.folder / "out", *options), cwd=self.folder, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
        self.addCleanup(process.communicate)
        self.addCleanup(harness.end_process, -process.pid)
        return process

    def wait_for_line(self, process, text):
        for line in process.stdout:
            if text in line:
                return line
        self.fail(f"the command ended before {text!r}")


class Ends(Transparency):
    def test_exit_status(self):
        for status in (0, 1, 42, 70, 125, 255):
            with self.subTest(status):
                self.both(["sh", "-c", f"exit {status}"])

    def test_death_by_signal(self):
        for name in ("TERM", "KILL", "HUP", "USR1"):
            with self.subTest(name):
                bare, _ = self.both(["sh", "-c", f"kill -{name} $$"])
                self.assertLess(bare.returncode, 0)


class Streams(Transparency):
    BYTES = bytes(range(256)) * 4096

    def test_stdin_to_stdout(self):
        bare, wrapped = self.both(["cat"], input=self.BYTES)
        self.assertEqual(bare.stdout, self.BYTES)
        self.assertEqual((wrapped.stdout, wrapped.stderr), (bare.stdout, bare.stderr))

    def test_stdin_to_stderr(self):
        bare, wrapped = self.both(["sh", "-c", "cat >&2; exit 1"], input=self.BYTES)
        self.assertEqual(bare.stderr, self.BYTES)
        self.assertEqual((wrapped.stdout, wrapped.stderr), (bare.stdout, bare.stderr))

    def test_closed_streams(self):
        self.both(["sh", "-c", "test ! -e /proc/self/fd/0 && test ! -e /proc/self/fd/1"],
                  preexec_fn=lambda: os.closerange(0, 2), capture_output=False)

    def test_open_files(self):
        kept = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, kept)
        (self.folder / "stdin").touch()
        for wrap in (False, True):
            command = ["find", "/proc/self/fd", "-mindepth", "1", "-printf", "%f %l\\n"]
            if wrap:
                command = harness.wrapped(command, self.folder / "out")
            with open(self.folder / "stdin") as stdin, open(self.folder / "stdout", "w") as stdout:
                subprocess.run(command, stdin=stdin, stdout=stdout, stderr=stdin, pass_fds=[kept], check=True)
            # find(1) shows the folder it reads, too, by its own pid
            text = sorted(re.sub("/proc/[0-9]+/", "/proc/PID/", (self.folder / "stdout").read_text()).splitlines())
            if wrap:
                self.assertEqual(text, bare)
            bare = text


class Surroundings(Transparency):
    def test_environment(self):
        environment = {**os.environ, "EMPTY": "", "LINES": "a\nb", "LD_LIBRARY_PATH": "/nowhere"}
        bare, wrapped = self.both(["env", "--null"], env=environment)
        self.assertEqual(wrapped.stdout.split(b"\0"), bare.stdout.split(b"\0"))

    def test_arguments(self):
        show = "tr '\\0' '\\n' < /proc/$$/cmdline"
        bare, wrapped = self.both(["sh", "-c", show, "zero", "", "two words", "--", "-x"])
        self.assertEqual(wrapped.stdout, bare.stdout)

    def test_working_directory(self):
        bare, wrapped = self.both(["readlink", "/proc/self/cwd"])
        self.assertEqual(wrapped.stdout, bare.stdout)

    def test_process_group_session_terminal_and_priority(self):
        bare, wrapped = self.both(["cat", "/proc/self/stat"], preexec_fn=lambda: os.nice(3))
        # proc_pid_stat(5): pgrp, session, tty_nr; priority, nice
        fields = [process.stdout.rpartition(b")")[2].split() for process in (bare, wrapped)]
        for chosen in (slice(2, 5), slice(15, 17)):
            self.assertEqual(fields[1][chosen], fields[0][chosen])

    def test_status(self):
        def unusual():
            signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, signal.SIGCHLD, signal.SIGTSTP})
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            os.umask(0o027)

        bare, wrapped = self.both(["cat", "/proc/self/status"], preexec_fn=unusual)
        status = [dict(line.split(b":\t", 1) for line in process.stdout.splitlines() if b":\t" in line)
                  for process in (bare, wrapped)]
        for field in (b"SigBlk", b"SigIgn", b"SigCgt", b"ShdPnd", b"Umask", b"Uid", b"Gid", b"Groups", b"CapInh",
                      b"CapPrm", b"CapEff", b"CapBnd", b"CapAmb", b"NoNewPrivs", b"Seccomp", b"Cpus_allowed",
                      *([b"TracerPid"] if harness.COLLECTOR == "bpf" else [])):
            self.assertEqual(status[1][field], status[0][field], field)

    def limits(self, *options):
        def raise_core_limit():
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

        processes = self.both(["cat", "/proc/self/limits"], *options, preexec_fn=raise_core_limit)
        return [dict(re.split("  +", line.strip(), maxsplit=1) for line in process.stdout.decode().splitlines())
                for process in processes]

    def test_resource_limits(self):
        bare, wrapped = self.limits()
        core = [limits.pop("Max core file size").split() for limits in (bare, wrapped)]
        self.assertEqual(wrapped, bare)
        self.assertEqual(core[1], ["1", *core[0][1:]])

    def test_resource_limits_with_keep_core(self):
        bare, wrapped = self.limits("--keep-core")
        self.assertEqual(wrapped, bare)


class Signals(Transparency):
    def test_sigterm_and_sighup_are_forwarded(self):
        process = self.start(REPORTER)
        self.wait_for_line(process, "<ready")
        process.send_signal(signal.SIGHUP)
        self.wait_for_line(process, "<SIGHUP 1>")
        process.send_signal(signal.SIGTERM)
        self.wait_for_line(process, "<SIGTERM 1>")
        self.assertEqual(process.wait(), 7)

    def test_second_sigint_kills_the_tree(self):
        # the child ignores SIGINT in a session of its own; only when it is dead as well does the pipe end
        script = ("import os, signal\n"
                  "signal.signal(signal.SIGINT, lambda *_: print('<SIGINT>', flush=True))\n"
                  "child = os.fork()\n"
                  "if child: print(f'<ready {child}>', flush=True)\n"
                  "else: os.setsid(); signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                  "while True: signal.pause()\n")
        process = self.start([sys.executable, "-c", script])
        self.addCleanup(harness.end_process, int(self.wait_for_line(process, "<ready").strip("<ready >\n")))
        process.send_signal(signal.SIGINT)
        self.wait_for_line(process, "<SIGINT>")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=harness.DEADLINE), 128 + signal.SIGKILL)
        self.assertEqual(process.stdout.read(), "")

    def test_signal_to_the_own_process_group(self):
        process = self.start(["sh", "-c", "kill -TERM 0"])
        self.assertEqual(process.wait(), 128 + signal.SIGTERM)
        self.assertTrue((self.folder / "out" / "report.json").exists())


class JobControl(Transparency):
    def terminal(self, command):
        return self.enterContext(Terminal(harness.wrapped(command, self.folder / "out"), self.folder))

    def state(self, pid):
        return harness.proc_status(pid)["State"][0]

    def test_typed_input_arrives(self):
        terminal = self.terminal(["sh", "-c", "read line; echo \"<$line>\"; test -t 0 && test -t 1 && test -t 2"])
        terminal.type(b"hello\n")
        terminal.wait_for("<hello>")
        self.assertEqual(terminal.event("exited"), 0)

    def test_control_c_arrives_once(self):
        terminal = self.terminal(REPORTER)
        terminal.wait_for("<ready")
        terminal.type(b"\x03")
        terminal.wait_for("<SIGINT 1>")
        # the wrapper handles its signals in order: with the SIGTERM it would have passed on the SIGINT
        os.kill(terminal.job, signal.SIGTERM)
        terminal.wait_for("<SIGINT in all: 1>")
        self.assertEqual(terminal.event("exited"), 7)

    def test_control_z_stops_and_fg_continues(self):
        terminal = self.terminal(REPORTER)
        command = int(terminal.wait_for(r"<ready (\d+)>").group(1))
        for round_number in (1, 2):
            terminal.type(b"\x1a")
            self.assertEqual(terminal.event("stopped"), signal.SIGTSTP)
            self.assertEqual(self.state(terminal.job), "T")
            # A traced one that has stopped is shown as "tracing stop" (proc_pid_stat(5)). A wrapper that has just been continued may
            # be stopped again sooner than its command (runner/launch/job_control.cpp).
            stopped = "T" if harness.COLLECTOR == "bpf" else "t"
            harness.wait_until(lambda: self.state(command) == stopped, "the command has stopped")
            terminal.bring_to_foreground()
            terminal.wait_for(f"<SIGCONT {round_number}>")
        terminal.type(b"\x03")
        terminal.wait_for("<SIGINT 1>")
        os.kill(terminal.job, signal.SIGTERM)
        self.assertEqual(terminal.event("exited"), 7)

    def test_sigcont_to_the_wrapper_alone_continues_the_command(self):
        terminal = self.terminal(REPORTER)
        terminal.wait_for("<ready")
        terminal.type(b"\x1a")
        terminal.event("stopped")
        os.kill(terminal.job, signal.SIGCONT)
        terminal.wait_for("<SIGCONT 1>")
        os.kill(terminal.job, signal.SIGTERM)
        terminal.bring_to_foreground()
        self.assertEqual(terminal.event("exited"), 7)


class Mounts(Transparency):
    UNMOUNTS = """mount -t tmpfs none {place} && cp {program} {place}/program && {place}/program
                  for attempt in $(seq 100); do umount {place} && exit 0; sleep 0.05; done; exit 1"""

    def test_what_a_crash_ran_from_can_be_unmounted(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to mount")
        place = self.folder / "place"
        place.mkdir()
        self.addCleanup(subprocess.run, ["umount", "--lazy", place], capture_output=True)
        program = harness.BUILD / "fixtures" / "null_write" / "fixture_null_write_O0_pie"
        script = self.UNMOUNTS.format(place=place, program=program)
        for command in (["sh", "-c", script], ["unshare", "--mount", "sh", "-c", script]):
            outcome = harness.run(command, self.folder)
            self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
            crash, = outcome.report()["crashes"]
            self.assertIn("write_through_null", [frame.get("function") for frame in harness.crashed_thread(crash)["frames"]])


class User(Transparency):
    def test_the_user_behind_sudo(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else than the user behind sudo")
        user = pwd.getpwuid(NOBODY)
        wrapper = harness.installed_copy(self.folder)
        work = self.folder / "work"
        work.mkdir()
        os.chown(work, user.pw_uid, user.pw_gid)
        environment = {**os.environ, "SUDO_UID": str(user.pw_uid), "SUDO_GID": str(user.pw_gid),
                       "SUDO_USER": user.pw_name}
        script = 'echo $(id -u) $(id -ru) $(id -g) $(id -rg) $(id -G) $HOME $USER; kill -SEGV $$'
        process = subprocess.run([str(wrapper), f"--collector={harness.COLLECTOR}", "--output-dir", "out", "--", "sh", "-c", script],
                                 cwd=work, env=environment, capture_output=True, text=True)
        self.assertEqual(process.returncode, 128 + signal.SIGSEGV, process)
        ids = [str(user.pw_uid)] * 2 + [str(user.pw_gid)] * 3
        self.assertEqual(process.stdout.split(), [*ids, user.pw_dir, user.pw_name])
        written = [work / "out", *(work / "out").rglob("*")]
        self.assertGreater(len(written), 4)
        for path in written:
            self.assertEqual((path.stat().st_uid, path.stat().st_gid), (user.pw_uid, user.pw_gid), path)

    def test_user_option_overrides_the_user_behind_sudo(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        wrapper = harness.installed_copy(self.folder)
        work = self.folder / "work"
        work.mkdir()
        work.chmod(0o777)
        environment = {**os.environ, "SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
        process = subprocess.run([str(wrapper), f"--collector={harness.COLLECTOR}", "--user", "daemon", "--output-dir", "out", "--", "id", "-un"],
                                 cwd=work, env=environment, capture_output=True, text=True)
        self.assertEqual((process.returncode, process.stdout), (0, "daemon\n"), process)

    def test_memory_of_a_setuid_program_is_withheld(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to make a setuid program")
        wrapper = harness.installed_copy(self.folder)
        work = self.folder / "work"
        work.mkdir()
        os.chown(work, NOBODY, NOBODY)
        program = self.folder / "setuid_program"
        shutil.copy(harness.BUILD / "fixtures" / "null_write" / "fixture_null_write_O0_pie", program)
        environment = {**os.environ, "SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
        for mode in (0o755, 0o4755):
            is_setuid = mode == 0o4755
            withheld = is_setuid and harness.COLLECTOR == "bpf"  # what ptrace(2) may follow has gained no rights
            program.chmod(mode)
            process = subprocess.run([str(wrapper), f"--collector={harness.COLLECTOR}", "--output-dir", "out", "--", str(program)], cwd=work,
                                     env=environment, capture_output=True, text=True)
            self.assertEqual(process.returncode, 128 + signal.SIGSEGV, process)
            report = json.loads((work / "out" / "report.json").read_text())
            crash, = report["crashes"]
            thread = harness.crashed_thread(crash)
            self.assertEqual("would run with more rights" in str(report.get("soft_errors")), is_setuid and not withheld)
            self.assertEqual("other credentials" in str(crash["soft_errors"]), withheld, crash["soft_errors"])
            self.assertEqual("command_args" in crash["process"], not withheld)
            self.assertEqual(thread["frame_count"] == 1, withheld)
            self.assertEqual(int(thread["registers"]["r13"], 16) == 0, withheld)


if __name__ == "__main__":
    harness.main()
