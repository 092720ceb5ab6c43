"""The collector that needs no privilege: which one is taken, where it works, and what is different with it.

    test_ptrace.py TRACED PROGRAM_THAT_CRASHES
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

TRACED, CRASHING = map(pathlib.Path, sys.argv[1:3])
NOBODY = 65534
FRAMES = ["write_through_null", "save_score", "finish_game", "main"]


class Traced(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())

    def run_here(self, *command, options=(), **popen_arguments):
        outcome = harness.run(command, self.folder, *options, **popen_arguments)
        self.report = outcome.report()
        harness.validate(self.report)
        self.assertEqual(self.report["collector"]["backend"], "ptrace", outcome)
        self.assertEqual(self.report["counts"]["lost"], 0, outcome)
        return outcome

    def functions(self, crash):
        return [frame.get("function", "") for frame in harness.flatten(harness.crashed_thread(crash))]

    def assert_frames(self, crash, names):
        self.assertEqual([name for name in self.functions(crash) if name in names], names)

    def kinds(self):
        return [(crash["process"]["name"], crash["crash_info"]["kind"]) for crash in self.report["crashes"]]


class Choice(Traced):
    """In a folder of its own, with a helper that is not ours: it leaves a mark, and fails."""

    def setUp(self):
        super().setUp()
        self.wrapper = harness.installed_copy(self.folder)
        self.mark = self.folder / "the-helper-ran"
        (self.folder / harness.PROBE.name).write_text(f"#!/bin/sh\ntouch {self.mark}\necho 'no BPF for you' >&2\nexit 1\n")
        self.words = "no BPF for you" if harness.privilege() is not None else "sudo"  # which does not start it then
        self.out = self.folder / "out"

    def run_with(self, *options):
        command = [self.wrapper, "--output-dir", self.out, *options, "--", CRASHING]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder)

    def test_auto_falls_back_and_says_so_in_one_line(self):
        for options in ((), ("--collector=auto",)):
            self.mark.unlink(missing_ok=True)
            process = self.run_with(*options)
            self.assertEqual(process.returncode, 128 + signal.SIGSEGV, process)
            report = json.loads((self.out / "report.json").read_text())
            harness.validate(report)
            self.assertEqual(report["collector"]["backend"], "ptrace")
            degraded, = report["collector"]["health"]["degraded"]
            self.assertRegex(degraded, "BPF cannot be had .*" + self.words)
            first, second = process.stderr.splitlines()[:2]
            self.assertRegex(first, r"captured by ptrace\(2\), because BPF cannot be had: .*" + self.words)
            self.assertNotIn("ptrace", second)
            self.assertEqual(len(report["crashes"]), 1)
            self.assertEqual(self.mark.exists(), harness.privilege() is not None)

    def test_bpf_never_falls_back(self):
        process = self.run_with("--collector=bpf")
        self.assertEqual(process.returncode, harness.HARNESS_FAILED, process)
        self.assertIn(self.words, process.stderr)
        self.assertNotIn("ptrace", process.stderr)
        self.assertFalse((self.out / "report.json").exists())

    def test_ptrace_starts_no_helper(self):
        process = self.run_with("--collector=ptrace")
        self.assertEqual(process.returncode, 128 + signal.SIGSEGV, process)
        self.assertFalse(self.mark.exists())
        self.assertNotIn("BPF", process.stderr)

    def test_where_neither_works_both_are_told(self):
        held = ["strace", "-f", "-o", "/dev/null"]  # who has a tracer has no room for another
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        process = subprocess.run([*held, self.wrapper, "--output-dir", self.out, "--", CRASHING],
                                 capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(process.returncode, harness.HARNESS_FAILED, process)
        self.assertIn(self.words, process.stderr)
        self.assertRegex(process.stderr, r"cannot be traced by ptrace\(2\): process \d+ is tracing it already")

    def test_record_and_replay_after_a_fallback(self):
        recording = self.folder / "recording"
        self.run_with("--record", recording)
        live = json.loads((self.out / "report.json").read_text())
        replayed = self.folder / "replayed"
        subprocess.run([harness.RUN, "--output-dir", replayed, "--replay", recording], capture_output=True)
        self.assertEqual(json.loads((replayed / "report.json").read_text()), live)


class WithoutPrivilege(Traced):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody without privilege")
        self.wrapper = harness.installed_copy(self.folder)
        self.program = shutil.copy(CRASHING, self.folder / "program")
        self.traced = shutil.copy(TRACED, self.folder / "traced")
        self.work = self.folder / "work"
        self.work.mkdir()
        os.chown(self.work, NOBODY, NOBODY)
        self.as_nobody = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
                          "--bounding-set=-all", "--inh-caps=-all"]

    def run_as_nobody(self, *command, prefix=()):
        command = [*self.as_nobody, *prefix, str(self.wrapper), "--collector=ptrace", "--output-dir", "out", "--",
                   *map(str, command)]
        process = subprocess.run(command, cwd=self.work, capture_output=True, text=True, timeout=harness.DEADLINE)
        outcome = harness.Outcome(process, self.work / "out")
        self.report = outcome.report()
        harness.validate(self.report)
        self.assertEqual(self.report["collector"]["backend"], "ptrace")
        self.assertEqual(self.report["collector"]["health"]["degraded"], [])
        return outcome

    def assert_whole_crash(self, outcome):
        self.assertEqual(outcome.status, 128 + signal.SIGSEGV, outcome)
        crash, = self.report["crashes"]
        self.assertEqual((crash["status"], crash["soft_errors"]), ("OK", []))
        self.assertEqual(crash["process"]["uid"], NOBODY)
        self.assert_frames(crash, FRAMES)

    def test_a_user_without_any_capability(self):
        self.assert_whole_crash(self.run_as_nobody(self.program))

    def test_a_run_inside_is_not_kept_from_it(self):
        """It would have to become root for BPF, and what is traced cannot. So it needs ptrace(2) for itself, and gets it."""
        outcome = self.run_as_nobody(self.wrapper, "--output-dir", "inner", "--", self.program)
        self.assertEqual(outcome.status, 128 + signal.SIGSEGV, outcome)
        self.assertRegex("".join(self.report["soft_errors"]), "crashcrawler-ru.*what it starts was not watched")
        self.report = json.loads((self.work / "inner" / "report.json").read_text())
        self.assertEqual(self.report["collector"]["backend"], "ptrace")
        self.assert_whole_crash(outcome)

    def test_a_container_without_capabilities(self):
        prefix = ["bwrap", "--ro-bind", "/", "/", "--bind", self.work, self.work, "--proc", "/proc", "--dev", "/dev",
                  "--unshare-all", "--cap-drop", "ALL"]
        try:
            allowed = subprocess.run([*self.as_nobody, *prefix, "true"], capture_output=True, text=True)
        except OSError as error:
            self.skipTest(f"bubblewrap: {error}")
        if allowed.returncode != 0:
            self.skipTest(f"bubblewrap: {allowed.stderr.strip()}")
        outcome = self.run_as_nobody(self.program, prefix=prefix)
        crash, = self.report["crashes"]
        self.assertEqual(outcome.status, 128 + signal.SIGSEGV, outcome)
        self.assert_frames(crash, FRAMES)

    def test_a_setuid_program_has_no_more_rights_and_that_is_said(self):
        if os.statvfs(self.folder).f_flag & os.ST_NOSUID:
            self.skipTest(f"{self.folder} is mounted with nosuid")
        program = pathlib.Path(shutil.copy(shutil.which("id"), self.folder / "who"))
        for mode, told in ((0o755, 0), (0o4755, 1)):
            program.chmod(mode)
            outcome = self.run_as_nobody(program, "-u")
            self.assertEqual((outcome.status, outcome.stdout), (0, f"{NOBODY}\n"), outcome)
            self.assertEqual(len(self.report.get("soft_errors", [])), told, outcome)
            self.assertEqual("would run with more rights" in outcome.stderr, bool(told))


class Processes(Traced):
    def test_many_at_once(self):
        outcome = self.run_here(TRACED, "storm", "400")
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
        self.assertEqual(len(self.report["crashes"]), 40)
        self.assertEqual(self.report["counts"]["unique"], 1)
        for crash in self.report["crashes"]:
            self.assertEqual((crash["status"], [parent["name"] for parent in crash["process"]["ancestors"]]),
                             ("OK", ["traced"]))

    def test_threads_that_come_and_go(self):
        outcome = self.run_here(TRACED, "threads", "500")
        self.assertEqual(outcome.status, 128 + signal.SIGSEGV, outcome)
        crash, = self.report["crashes"]
        self.assertEqual(len(crash["threads"]), 2)
        self.assertIn("crash_in_thread", self.functions(crash))

    def test_a_fault_that_was_handled_before_is_not_the_crash(self):
        self.run_here(TRACED, "fault_in_handler")
        crash, = self.report["crashes"]
        self.assertEqual((crash["crash_info"]["kind"], crash["crash_info"]["signal"]["fault_address"]), ("signal", "0x8"))

    def test_of_clone_with_the_parent_s_parent(self):
        outcome = self.run_here(TRACED, "unnoticed")
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
        self.assertEqual(self.kinds(), [("traced", "signal")])

    def test_a_parent_sees_its_child_stop_and_continue(self):
        script = ("import os, signal, sys\n"
                  "child = os.spawnl(os.P_NOWAIT, sys.argv[1], sys.argv[1], 'stop')\n"
                  "stop = os.waitpid(child, os.WUNTRACED)[1]\n"
                  "os.kill(child, signal.SIGCONT)\n"
                  "again = os.waitpid(child, os.WCONTINUED)[1]\n"
                  "end = os.waitpid(child, 0)[1]\n"
                  "print(os.WSTOPSIG(stop), os.WIFCONTINUED(again), os.WTERMSIG(end))\n")
        outcome = self.run_here(sys.executable, "-c", script, TRACED)
        self.assertEqual(outcome.stdout.split(), [str(signal.SIGSTOP.value), "True", str(signal.SIGSEGV.value)], outcome)
        self.assertEqual(self.kinds(), [("traced", "signal")])


class Kills(Traced):
    """Who sends a SIGKILL cannot be seen, but who had asked before."""

    def test_a_server_that_its_test_kills_is_silent(self):
        for name in ("KILL", "TERM"):
            outcome = self.run_here("sh", "-c", f"sleep 1000 & kill -{name} $!; wait; exit 0")
            self.assertEqual((outcome.status, outcome.stderr), (0, ""), outcome)

    def test_timeout_kills_what_does_not_listen(self):
        outcome = self.run_here("timeout", "-k", "0.1", "0.5", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
        self.assertEqual(outcome.status, 128 + signal.SIGKILL, outcome)
        self.assertIn(("sh", "hang"), self.kinds(), outcome)

    def test_a_runner_that_stops_what_it_kills(self):
        """As ctest does, but this one, a shell of that name, waits until it stands."""
        runner = self.folder / "ctest"
        runner.symlink_to("/bin/bash")
        script = """sleep 1000 & child=$!
            until grep -q 'State:.*S' /proc/$child/status && grep -q sleep /proc/$child/comm; do :; done
            kill -STOP $child; until grep -q 'State:.*[tT]' /proc/$child/status; do :; done
            kill -KILL $child; wait; exit 0"""
        self.run_here(runner, "-c", script)
        self.assertEqual(self.kinds(), [("sleep", "hang")])

    def test_a_time_out_of_ctest(self):
        """It sends SIGSTOP and SIGKILL in one breath. Where the second was faster than the tracer, the parent is believed."""
        if not shutil.which("ctest"):
            self.skipTest("ctest is not installed")
        tests = self.folder / "CTestTestfile.cmake"
        tests.write_text('add_test(slow "sleep" "1000")\nset_tests_properties(slow PROPERTIES TIMEOUT 1)\n')
        outcome = self.run_here("ctest")
        self.assertEqual(outcome.status, 8, outcome)
        self.assertEqual(self.kinds(), [("sleep", "hang")], outcome)
        self.assertEqual(self.report["crashes"][0]["test"]["name"], "slow")

    def test_a_child_of_ctest_that_is_killed_unseen(self):
        """As when the SIGKILL of ctest is faster: nothing but it is there. Of another parent it is not told."""
        for name, kinds in (("ctest", [("sleep", "hang")]), ("runner", [])):
            runner = self.folder / name
            runner.symlink_to("/bin/bash")
            script = """sleep 1000 & until grep -q sleep /proc/$!/comm; do :; done
                kill -KILL $!; wait; exit 0"""
            outcome = self.run_here(runner, "-c", script)
            self.assertEqual(self.kinds(), kinds, outcome)
            self.assertEqual("taken for the end of its time" in outcome.stderr, bool(kinds), outcome)


class Tracers(Traced):
    def test_a_run_inside_that_needs_ptrace_too_gets_it(self):
        inner = harness.wrapped([CRASHING], self.folder / "inner")
        outcome = self.run_here("sh", "-c", '"$@" 2>/dev/null; exit 0', "sh", *inner)
        self.assertEqual(outcome.status, 0, outcome)
        note, = self.report["soft_errors"]
        self.assertRegex(note, "crashcrawler-ru.*what it starts was not watched")
        inner_report = json.loads((self.folder / "inner" / "report.json").read_text())
        self.assert_frames(inner_report["crashes"][0], FRAMES)

    def test_what_a_debugger_leaves_is_a_leftover_all_the_same(self):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        script = "strace -f -o /dev/null sleep 1000 >/dev/null 2>&1 & while ! grep -qs TracerPid:.*[1-9] /proc/$(pgrep -P $!)/status; do :; done"
        self.run_here("sh", "-c", script, options=("--linger=0s", "--leftovers=kill"))
        self.assertEqual(sorted(left["name"] for left in self.report["run"]["leftover_processes"]), ["sleep", "strace"])


class RootWithoutCapabilities(Traced):
    """As in a plain container."""

    def run_without(self, dropped, *command):
        if os.geteuid() != 0:
            self.skipTest("not root")
        prefix = ["capsh", f"--drop={dropped}", "--shell=/usr/bin/env", "--"]
        wrapped = harness.wrapped(command, self.folder / "out")
        outcome = harness.Outcome(subprocess.run([*prefix, *wrapped], cwd=self.folder, capture_output=True, text=True),
                                  self.folder / "out")
        self.report = outcome.report()
        return outcome

    def test_a_run_inside_that_chooses_by_itself(self):
        inner = harness.wrapped([CRASHING], self.folder / "inner", collector="auto")
        outcome = self.run_without("cap_bpf,cap_perfmon,cap_sys_admin", *inner)
        self.assertEqual(outcome.status, 128 + signal.SIGSEGV, outcome)
        self.assertRegex("".join(self.report["soft_errors"]), "crashcrawler-ru.*what it starts was not watched")
        inner_report = json.loads((self.folder / "inner" / "report.json").read_text())
        self.assert_frames(inner_report["crashes"][0], FRAMES)

    def test_a_crash_of_another_user_is_not_complete_and_that_is_said(self):
        self.folder.chmod(0o755)
        shutil.copy(CRASHING, self.folder / "victim")
        become = ["setpriv", "--reuid", str(NOBODY), "--clear-groups", self.folder / "victim"]
        outcome = self.run_without("cap_sys_ptrace,cap_perfmon,cap_sys_admin", *become)
        self.assertEqual(outcome.status, 128 + signal.SIGSEGV, outcome)
        crash, = self.report["crashes"]
        self.assertEqual((crash["status"], crash["crash_info"]["signal"]["name"]), ("TRUNCATED", "SIGSEGV"))
        self.assertIn("may not be looked at without CAP_SYS_PTRACE", outcome.stderr)
        self.assertIn("1 crash is not complete", outcome.stderr)

    def test_a_crash_of_another_user_has_its_stack_where_its_map_may_be_seen(self):
        """Who has attached may read it, though proc(5) is closed. The map is shown to CAP_PERFMON from Linux 6.14 on."""
        self.folder.chmod(0o755)
        shutil.copy(CRASHING, self.folder / "victim")
        self.run_without("cap_sys_ptrace,cap_sys_admin", "setpriv", "--reuid", str(NOBODY), "--clear-groups", self.folder / "victim")
        crash, = self.report["crashes"]
        if not crash["modules"]:
            self.assertEqual(crash["status"], "TRUNCATED")
            self.skipTest("this kernel does not show the memory map of another user to CAP_PERFMON")
        self.assertEqual(crash["status"], "OK", crash["soft_errors"])
        self.assert_frames(crash, FRAMES)

    def test_a_stack_that_nobody_may_read_is_said(self):
        script = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); ctypes.string_at(0)"  # PR_SET_DUMPABLE
        for dropped in ("cap_sys_ptrace,cap_sys_admin", "cap_sys_ptrace,cap_perfmon,cap_sys_admin"):
            with self.subTest(dropped):
                self.run_without(dropped, "/usr/bin/python3", "-c", script)
                crash, = self.report["crashes"]
                self.assertEqual((crash["status"], crash["crash_info"]["signal"]["name"]), ("TRUNCATED", "SIGSEGV"))
                self.assertRegex("\n".join(crash["soft_errors"]), "it is not dumpable|memory map could not be walked")
                self.assertEqual(len(harness.crashed_thread(crash)["frames"]), 1)

    def test_setuid_programs_lose_their_rights_and_that_is_said(self):
        if os.statvfs(self.folder).f_flag & os.ST_NOSUID:
            self.skipTest(f"{self.folder} is mounted with nosuid")
        self.folder.chmod(0o755)
        program = self.folder / "whoami"
        shutil.copy(shutil.which("whoami"), program)
        program.chmod(0o4755)
        # setpriv has kept its capabilities until it executes the shell
        become = ["setpriv", "--reuid", str(NOBODY), "--clear-groups", "sh", "-c", f"exec {program}"]
        outcome = self.run_without("cap_sys_ptrace", *become)
        self.assertEqual((outcome.status, outcome.stdout), (0, "nobody\n"), outcome)
        note, = self.report["soft_errors"]
        self.assertRegex(note, r"^sh \(pid \d+\) may not be looked at without CAP_SYS_PTRACE.*if it is setuid")


if __name__ == "__main__":
    harness.main()
