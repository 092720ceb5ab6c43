"""--timeout: what hangs is reported with its stacks and ended.

    test_timeout.py HANGING HANGING_STATIC         the program hanging.c, twice
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

HANGING, HANGING_STATIC = sys.argv[1:]
TIMED_OUT = 124
LONG_ENOUGH = "--timeout=2s"  # for a few programs to start and hang
NOBODY = 65534


class Timeout(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.become_subreaper()

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.before = harness.kernel_lists()

    def run_hanging(self, *command, options=(LONG_ENOUGH, "--grace=30s")):
        outcome = harness.run(command, self.folder, *options)
        self.assertEqual(outcome.status, TIMED_OUT, outcome)
        self.report = outcome.report()
        harness.validate(self.report)
        self.assertTrue(self.report["run"]["timed_out"])
        self.assertEqual(self.report["run"]["leftover_processes"], [])
        for crash in self.report["crashes"]:
            self.assert_dead(crash["process"]["pid"])
        harness.reap_orphans()
        harness.assert_nothing_left(self.before)
        return outcome

    def assert_dead(self, pid):
        status = harness.proc_status(pid)
        if status is not None and not status["State"].startswith("Z"):
            harness.end_process(pid)
            self.fail(f"process {pid} lives on: {status['Name']}, {status['State']}")

    def assert_hangs(self, *names):
        """The processes of the report, in its order, are those, and all of them hung."""
        crashes = self.report["crashes"]
        self.assertEqual([crash["process"]["name"] for crash in crashes], list(names))
        for crash in crashes:
            self.assertEqual(crash["crash_info"]["kind"], "hang")
            self.assertEqual(crash["status"], "OK")
            self.assertEqual(crash["soft_errors"], [])
        counts = self.report["counts"]
        self.assertEqual((counts["hangs"], counts["crashes"], counts["lost"]), (len(names), len(names), 0))

    def assert_frames(self, thread, *functions):
        frames = iter(harness.flatten(thread))
        for function in functions:
            if not any(harness.is_function(frame, function) for frame in frames):
                self.fail(f"{function} is missing or out of order in {thread['thread_name']}: {thread['frames']}")

    def assert_stacks_of_hanging(self, crash):
        threads = {thread["thread_name"]: thread for thread in crash["threads"]}
        self.assertEqual(sorted(threads), ["hanging", "leftwards", "rightwards"])
        self.assert_frames(threads["hanging"], "wait_for_workers", "main")
        self.assert_frames(threads["leftwards"], "take_second", "take_both", "work_leftwards")
        self.assert_frames(threads["rightwards"], "take_second", "take_both", "work_rightwards")
        for thread in threads.values():
            own = [frame for frame in thread["frames"] if frame.get("module", "") == HANGING]
            self.assertTrue(own)
            self.assertTrue(all(frame["trust"] == "cfi" for frame in own), own)

    def test_every_process_and_thread_is_shown(self):
        outcome = self.run_hanging("sh", "-c", f"{HANGING}; echo went on")
        self.assertEqual(outcome.stdout, "")
        self.assert_hangs("hanging", "sh")
        self.assertEqual(self.report["soft_errors"], [])
        self.assertEqual(self.report["run"]["exit"], {"signal": signal.SIGTERM})
        self.assertEqual(self.report["run"]["timeout_s"], 2)
        hanging, shell = self.report["crashes"]
        self.assert_stacks_of_hanging(hanging)
        self.assertEqual(hanging["process"]["command_args"], [HANGING])
        self.assertEqual(hanging["process"]["executable"]["path"], HANGING)
        self.assertEqual(hanging["process"]["working_directory"], str(self.folder))
        self.assertEqual(hanging["process"]["environment_source"], "live")
        self.assertEqual(hanging["process"]["ancestors"],
                         [{"pid": shell["process"]["pid"], "name": "sh",
                           "command_args": ["sh", "-c", f"{HANGING}; echo went on"]}])
        self.assertEqual(shell["process"].get("ancestors", []), [], "what is above the command is not of the run")
        for crash in (hanging, shell):
            self.assertNotIn("exit", crash["crash_info"])
            self.assertNotIn("signal", crash["crash_info"])
        self.assertIn("the time of 2.0 s was over", outcome.stderr)
        self.assertLess(outcome.stderr.index(HANGING), outcome.stderr.index("sh -c"), "what hangs comes first")
        self.assertLessEqual(len(outcome.stderr.splitlines()), harness.SUMMARY_LINES)

        text = (outcome.output_dir / "crashes" / f"{hanging['id']}.txt").read_text()
        self.assertTrue(text.startswith("hanging is a hang: still running when the time was over, in wait_for_workers"))
        errors = xml.etree.ElementTree.parse(outcome.output_dir / "junit.xml").findall("testsuite/testcase/error")
        self.assertEqual([error.get("type") for error in errors], ["hang", "hang"])

    def test_of_a_static_program(self):
        self.run_hanging(HANGING_STATIC)
        self.assert_hangs("hanging_static")
        crash, = self.report["crashes"]
        self.assert_frames(harness.crashed_thread(crash), "wait_for_workers", "main")
        self.assertEqual(len(crash["threads"]), 3)
        self.assertEqual(crash["process"]["environment_source"], "initial")
        self.assertEqual(crash["process"]["environment"]["PATH"], os.environ["PATH"])

    def test_one_that_ignores_sigterm_is_killed(self):
        self.run_hanging(HANGING, "stubborn", options=(LONG_ENOUGH, "--grace=100ms"))
        self.assert_hangs("hanging")
        self.assertEqual(self.report["run"]["exit"], {"signal": signal.SIGKILL})

    def test_one_that_is_stopped_is_looked_at_and_ended(self):
        self.run_hanging("sh", "-c", f"{HANGING} stopped; exit 3")
        self.assert_hangs("hanging", "sh")
        self.assert_frames(self.report["crashes"][0]["threads"][0], "raise", "main")

    def test_exit_status_is_124_whatever_the_command_says(self):
        self.run_hanging("sh", "-c", f"trap 'exit 0' TERM; {HANGING} & wait")
        self.assert_hangs("hanging", "sh")
        self.assertEqual(self.report["run"]["exit"], {"code": 0})

    def test_a_daemon_is_looked_at_and_ended(self):
        self.run_hanging("sh", "-c", f"setsid {HANGING} & exec sleep 1000", options=(LONG_ENOUGH, "--linger=0s"))
        self.assert_hangs("hanging", "sleep")

    def test_a_runner_that_kills_in_turn_makes_no_second_report(self):
        """timeout(1) hands on the SIGTERM it gets, which without our time-out would be a hang of its own."""
        self.run_hanging("timeout", "1000", HANGING)
        self.assert_hangs("hanging", "timeout")

    def inner_run(self, *options):
        """One that captures with BPF, for what is traced already has no room for another tracer."""
        if reason := harness.missing_for_capture():
            self.skipTest(reason)
        if harness.COLLECTOR == "ptrace" and not harness.has_capability(harness.CAP_SYS_PTRACE):
            self.skipTest("what is traced gets no rights from sudo unless its tracer has CAP_SYS_PTRACE")
        return harness.wrapped([HANGING], self.folder / "inner", *options, collector="bpf")

    def test_a_run_inside_of_the_run_is_no_hang(self):
        inner = self.inner_run()
        self.run_hanging("sh", "-c", '"$@"; exit 3', "sh", *inner, options=("--timeout=4s", "--grace=30s"))
        self.assert_hangs("hanging", "sh")
        self.assertEqual(self.report["soft_errors"], [])

    def test_what_a_run_inside_of_the_run_ends_is_a_hang_of_both(self):
        inner = self.inner_run(LONG_ENOUGH, "--grace=30s")
        outcome = harness.run(inner, self.folder)
        self.assertEqual(outcome.status, TIMED_OUT, outcome)
        for folder in ("out", "inner"):
            report = json.loads((self.folder / folder / "report.json").read_text())
            harness.validate(report)
            crash, = report["crashes"]
            self.assertEqual((crash["process"]["name"], crash["crash_info"]["kind"]), ("hanging", "hang"))
            self.assertEqual(sorted(thread["thread_name"] for thread in crash["threads"]),
                             ["hanging", "leftwards", "rightwards"])
        self.assertIn("a hang: killed by crashcrawler-ru", outcome.stderr)
        harness.reap_orphans()
        harness.assert_nothing_left(self.before)

    def test_crash_on_the_way_out_is_a_crash(self):
        self.run_hanging("sh", "-c", "trap 'kill -SEGV $$' TERM; sleep 1000 & wait; wait")
        kinds = [(crash["process"]["name"], crash["crash_info"]["kind"]) for crash in self.report["crashes"]]
        self.assertEqual(sorted(kinds), [("sh", "hang"), ("sh", "signal"), ("sleep", "hang")])
        self.assertEqual(self.report["counts"]["hangs"], 2)

    def test_one_that_is_traced_already_is_shown_as_it_was_when_it_was_ended(self):
        strace = shutil.which("strace")
        if not strace:
            self.skipTest("strace is not installed")
        self.run_hanging(strace, "-f", "-o", "/dev/null", HANGING)
        if harness.COLLECTOR == "ptrace":  # strace was let go, with what it starts
            self.assert_hangs("strace")
            aside, error = sorted(self.report["soft_errors"], key=lambda text: "looked at" in text)
            self.assertIn("what it starts was not watched", aside)
            self.assertRegex(error, r"\(hanging\) could not be looked at: process \d+ is tracing it already")
            return
        self.assert_hangs("hanging", "strace")
        hanging, tracer = self.report["crashes"]
        self.assertEqual({thread["thread_name"] for thread in hanging["threads"]},
                         {"hanging", "leftwards", "rightwards"})
        self.assertEqual(hanging["crash_info"]["exit"], {"signal": signal.SIGTERM})
        error, = self.report["soft_errors"]
        self.assertIn(f"process {hanging['process']['pid']} (hanging) could not be looked at", error)
        self.assertIn(f"process {tracer['process']['pid']} is tracing it already", error)

    def test_of_another_user_needs_no_privilege(self):
        if os.geteuid() != 0:
            self.skipTest("only root can run a command for somebody else")
        program = shutil.copy(HANGING, self.folder)
        self.folder.chmod(0o755)
        output_dir = self.folder / "out"
        output_dir.mkdir()
        os.chown(output_dir, NOBODY, NOBODY)
        self.run_hanging("sh", "-c", f"{program}; exit 3", options=(LONG_ENOUGH, "--user", str(NOBODY)))
        self.assert_hangs("hanging", "sh")
        self.assertEqual(self.report["soft_errors"], [])
        self.assertEqual({crash["process"]["uid"] for crash in self.report["crashes"]}, {NOBODY})

    def test_replay_makes_the_same_report(self):
        recording = self.folder / "recording"
        live = self.run_hanging("sh", "-c", f"{HANGING} stubborn; exit 3",
                                options=(LONG_ENOUGH, "--grace=100ms", "--record", str(recording)))
        self.assert_hangs("hanging", "sh")
        live.output_dir = live.output_dir.rename(self.folder / "live")
        command = [str(harness.RUN), "--output-dir", str(self.folder / "out"), "--replay", str(recording)]
        process = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        replayed = harness.Outcome(process, self.folder / "out")
        self.assertEqual(replayed.status, TIMED_OUT, replayed)
        self.assertEqual(replayed.stderr, live.stderr)
        names = sorted(path.relative_to(live.output_dir) for path in live.output_dir.rglob("*") if path.is_file())
        self.assertEqual(names, sorted(path.relative_to(replayed.output_dir)
                                       for path in replayed.output_dir.rglob("*") if path.is_file()))
        for name in names:
            self.assertEqual((replayed.output_dir / name).read_bytes(), (live.output_dir / name).read_bytes(), name)

    def test_command_that_ends_in_time_is_left_alone(self):
        outcome = harness.run(["sh", "-c", "exit 5"], self.folder, "--timeout=3600s")
        self.assertEqual(outcome.status, 5, outcome)
        self.assertEqual(outcome.stderr, "")
        self.assertNotIn("timed_out", outcome.report()["run"])
        self.assertEqual(outcome.report()["crashes"], [])

    def test_mistakes_in_the_options(self):
        for option in ("--timeout=soon", "--timeout=0s", "--timeout=-1s", "--grace=5"):
            with self.subTest(option):
                outcome = harness.run(["touch", "ran"], self.folder, option)
                self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
                self.assertRegex(outcome.stderr, rf"\Acrashcrawler-run: {re.escape(option.split('=')[0])}: '")
                self.assertFalse((self.folder / "ran").exists())


if __name__ == "__main__":
    harness.main()
