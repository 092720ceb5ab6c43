"""--repeat, --until-crash, --for, --jobs and --only: what is run, when it ends, and what is told of it."""

import os
import pathlib
import signal
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

GTEST = sys.argv[1]
NOBODY = 65534
CRASH = "kill -SEGV $$"


def when_third(action):
    """A shell script whose third run does `action`."""
    return ["sh", "-c", f"echo run >> runs; if [ $(wc -l < runs) = 3 ]; then {action}; fi"]


class Repeat(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        harness.become_subreaper()
        self.addCleanup(harness.reap_orphans)

    def run_attempts(self, command, *options, **arguments):
        outcome = harness.run(command, self.folder, *options, timeout=120, **arguments)
        report = outcome.report()
        harness.validate(report)
        self.assertEqual(report["collector"]["health"]["degraded"], [])
        return outcome, report["attempts"], report["crashes"]

    def runs(self):
        return len((self.folder / "runs").read_text().splitlines())

    def test_all_pass(self):
        outcome, attempts, crashes = self.run_attempts(["sh", "-c", "echo run >> runs"], "--repeat", "20")
        self.assertEqual((outcome.status, self.runs(), crashes), (0, 20, []), outcome)
        self.assertEqual((attempts["count"], attempts["ended_by"], attempts["passed"]["count"]), (20, "number", 20))
        self.assertEqual(attempts["passed"]["rate_high"], 1)
        self.assertAlmostEqual(attempts["passed"]["rate_low"], 0.8389, places=4)  # Wilson, 20 of 20
        self.assertIn("passed: 20 of 20, 100 % (95 %: 83.9 to 100 %)", outcome.stderr)

    def test_one_crash_of_five(self):
        outcome, attempts, crashes = self.run_attempts(when_third(CRASH), "--repeat", "5")
        self.assertEqual((outcome.status, self.runs()), (139, 5), outcome)
        self.assertEqual([crash["attempt"] for crash in crashes], [3])
        self.assertEqual([attempts[key]["count"] for key in ("passed", "failed", "crashed")], [4, 0, 1])
        self.assertEqual([entry["attempt"] for entry in attempts["not_passed"]], [3])
        signature, = attempts["signatures"]
        self.assertEqual((signature["attempts"], signature["first"]), ([3], crashes[0]["id"]))
        self.assertEqual(signature["hash"], crashes[0]["signature"]["hash"])
        text = (outcome.output_dir / "crashes" / f"{crashes[0]['id']}.txt").read_text()
        self.assertRegex(text, r"\nAttempt +3 of 5\n")

    def cases(self, outcome):
        root = xml.etree.ElementTree.parse(outcome.output_dir / "junit.xml").getroot()
        return root, list(root.iter("testcase"))

    def test_junit_of_a_flaky_crash(self):
        outcome, _, _ = self.run_attempts(when_third(CRASH), "--repeat", "5")
        root, (case,) = self.cases(outcome)
        self.assertEqual((root.get("errors"), case.find("error")), ("0", None))
        flaky, = case.findall("flakyFailure")
        self.assertEqual(flaky.get("type"), "SIGSEGV")
        self.assertIn("attempt 3 of 5", flaky.find("stackTrace").text)

    def test_junit_of_a_crash_in_every_attempt(self):
        outcome, _, _ = self.run_attempts(["sh", "-c", CRASH], "--repeat", "3")
        root, (case,) = self.cases(outcome)
        self.assertEqual((root.get("errors"), case.find("error").get("type")), ("1", "SIGSEGV"))
        self.assertEqual([len(case.findall(name)) for name in ("rerunFailure", "flakyFailure")], [2, 0])

    def test_strict_junit_has_no_word_for_it(self):
        outcome, _, _ = self.run_attempts(when_third(CRASH), "--repeat", "5", "--junit-profile", "strict")
        root, (case,) = self.cases(outcome)
        self.assertEqual([child.tag for child in case], ["error", "system-out"])

    def test_status_of_the_first_that_failed(self):
        outcome, attempts, _ = self.run_attempts(when_third("exit 7"), "--repeat", "4")
        self.assertEqual((outcome.status, attempts["failed"]["count"]), (7, 1), outcome)

    def test_until_crash_sees_what_the_exit_status_hides(self):
        outcome, attempts, crashes = self.run_attempts(when_third(f"(exec sh -c '{CRASH}'); true"), "--until-crash")
        self.assertEqual((outcome.status, self.runs()), (harness.CRASH_BEHIND_SUCCESS, 3), outcome)
        self.assertEqual((attempts["ended_by"], [crash["attempt"] for crash in crashes]), ("crash", [3]))

    def test_until_crash_does_not_end_at_a_failure(self):
        outcome, attempts, _ = self.run_attempts(["sh", "-c", "exit 1"], "--until-crash", "--repeat", "5")
        self.assertEqual((outcome.status, attempts["count"], attempts["ended_by"]), (1, 5, "number"))

    def test_until_crash_does_not_end_at_a_death_on_purpose(self):
        outcome, attempts, crashes = self.run_attempts(when_third(CRASH), "--until-crash", "--repeat", "5",
                                                       "--expect", "signal=SIGSEGV")
        self.assertEqual((attempts["count"], attempts["ended_by"]), (5, "number"), outcome)
        self.assertEqual([crash["crash_info"]["expected"] for crash in crashes], [True])

    def test_for_a_time(self):
        outcome, attempts, _ = self.run_attempts(["true"], "--for", "300ms")
        self.assertEqual((outcome.status, attempts["ended_by"]), (0, "time"), outcome)
        self.assertGreaterEqual(outcome.report()["run"]["duration_s"], 0.3)
        _, attempts, _ = self.run_attempts(["true"], "--for", "1ms", "--repeat", "1")
        self.assertEqual(attempts["count"], 1, "one attempt at least")

    def test_an_interrupt_ends_it_and_is_reported(self):
        process = subprocess.Popen(harness.wrapped(["sh", "-c", "echo run >> runs; sleep 0.05"],
                                                   self.folder / "out", "--until-crash"),
                                   cwd=self.folder, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        harness.wait_until(lambda: (self.folder / "runs").exists() and self.runs() >= 3, "three attempts have begun")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=harness.DEADLINE)
        self.assertEqual(process.returncode, 130, stderr)
        attempts = harness.Outcome(process, self.folder / "out").report()["attempts"]
        self.assertEqual(attempts["ended_by"], "interrupt")
        self.assertGreaterEqual(attempts["passed"]["count"], 2)

    def test_jobs_are_parallel_and_apart(self):
        """Each of three waits until all three run, and each crashes by itself."""
        script = f"touch started.$$; while [ $(ls started.* | wc -l) -lt 3 ]; do sleep 0.01; done; {CRASH}"
        _, attempts, crashes = self.run_attempts(["sh", "-c", script], "--jobs", "3", "--repeat", "3")
        self.assertEqual(sorted(crash["attempt"] for crash in crashes), [1, 2, 3])
        self.assertEqual(attempts["signatures"][0]["attempts"], [1, 2, 3])

    def test_a_time_out_of_one_leaves_the_others_alone(self):
        """One hangs; until it is ended there are always others beside it, and after that too."""
        script = "if mkdir first 2> /dev/null; then exec sleep 1000; else sleep 0.3; fi"
        _, attempts, crashes = self.run_attempts(["sh", "-c", script], "--jobs", "2", "--repeat", "12",
                                                 "--timeout", "2s", "--linger", "0ms")
        timed_out = [entry["attempt"] for entry in attempts["not_passed"] if entry.get("timed_out")]
        self.assertEqual(len(timed_out), 1, attempts)
        self.assertEqual(attempts["passed"]["count"], 11)
        self.assertEqual([(crash["crash_info"]["kind"], crash["attempt"]) for crash in crashes],
                         [("hang", timed_out[0])])

    def test_what_outlives_an_attempt_belongs_to_it(self):
        daemon = 'until [ -e go ]; do sleep 0.01; done; sh -c "kill -SEGV \\$\\$"; touch gone'
        script = f"if mkdir first 2> /dev/null; then setsid sh -c '{daemon}' & else touch go; until [ -e gone ]; do sleep 0.01; done; fi"
        outcome, attempts, crashes = self.run_attempts(["sh", "-c", script], "--repeat", "2", "--linger", "100ms",
                                                       stdin=subprocess.DEVNULL)
        self.assertEqual([crash["attempt"] for crash in crashes], [1], outcome)

    def test_each_attempt_has_the_same_input(self):
        (self.folder / "input").write_text("skipped\nread\n")
        with open(self.folder / "input") as file:
            os.lseek(file.fileno(), len("skipped\n"), os.SEEK_SET)
            outcome, _, _ = self.run_attempts(["cat"], "--repeat", "3", stdin=file)
        self.assertEqual(outcome.stdout, "read\n" * 3)
        reading, writing = os.pipe()
        os.write(writing, b"for nobody")
        os.close(writing)
        outcome, _, _ = self.run_attempts(["cat"], "--repeat", "2", stdin=reading)
        os.close(reading)
        self.assertEqual(outcome.stdout, "")

    def test_many_crashes_of_one_kind_are_counted_and_not_kept(self):
        outcome, attempts, crashes = self.run_attempts(["sh", "-c", CRASH], "--repeat", "130")
        self.assertEqual((len(crashes), attempts["crashes_without_record"]), (100, 30), outcome)
        signature, = attempts["signatures"]
        self.assertEqual((signature["crashes"], signature["records"], len(signature["attempts"])), (130, 100, 130))
        self.assertIn("of 30 crashes nothing was kept but the count", outcome.stderr)

    def test_copies_of_one_program_are_of_one_kind(self):
        """As of tests that install into a new folder each time. Not all of them are held open until the run ends."""
        count = r'wrapper=$(sed -n "s/^PPid:\t//p" /proc/$PPID/status); ls /proc/$wrapper/fd | wc -l; '
        copy = 'new=$(mktemp -d ./XXXXXX); cp "$(readlink -f /bin/sh)" $new/sh; $new/sh -c "kill -SEGV \\$\\$"; rm -r $new'
        outcome, attempts, crashes = self.run_attempts(["sh", "-c", count + copy], "--repeat", "130")
        self.assertEqual((len(crashes), attempts["crashes_without_record"]), (100, 30), outcome)
        held = [int(number) for number in outcome.stdout.split()]
        self.assertEqual(len(held), 130)
        self.assertLess(max(held) - min(held), 120)

    def test_as_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to become somebody else")
        os.chown(self.folder, NOBODY, -1)
        self.folder.chmod(0o755)
        outcome, attempts, crashes = self.run_attempts(when_third(CRASH), "--repeat", "3", "--user", "nobody", "--jobs", "1")
        self.assertEqual([crash["attempt"] for crash in crashes], [3], outcome)
        self.assertIn("/attempt-3", crashes[0]["process"]["cgroup"])

    def test_nothing_is_left(self):
        before = harness.kernel_lists()
        self.run_attempts(["sh", "-c", "sleep 0.3 & true"], "--repeat", "3", "--linger", "0ms", "--chaos=1")
        harness.assert_nothing_left(before)

    def test_a_command_that_is_not_there(self):
        outcome = harness.run(["./nothing"], self.folder, "--repeat", "3")
        self.assertEqual(outcome.status, 127, outcome)

    def test_without_a_cgroup(self):
        mounts = " ".join(map(str, harness.cgroup2_mounts()))
        there = [*harness.privilege(), "unshare", "--mount", "sh", "-c", f'umount --lazy {mounts} || exit 77; exec "$@"', "sh"]

        def run_there(*options):
            command = [*there, *harness.wrapped(when_third(CRASH), self.folder / "out", *options)]
            process = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=harness.DEADLINE)
            if process.returncode == harness.SKIP:
                self.skipTest(f"cgroup2 cannot be unmounted: {process.stderr.strip()}")
            return harness.Outcome(process, self.folder / "out")

        outcome = run_there("--repeat", "4")
        self.assertEqual([crash["attempt"] for crash in outcome.report()["crashes"]], [3], outcome)
        outcome = run_there("--repeat", "4", "--jobs", "2")
        self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
        self.assertIn("--jobs needs a cgroup", outcome.stderr)

    def test_by_ptrace(self):
        """The command, a child behind success, one that hangs."""
        script = ["sh", "-c", f"echo run >> runs; case $(wc -l < runs) in 1) {CRASH};; 2) (exec sh -c '{CRASH}'); true;; 3) exec sleep 1000;; esac"]
        command = harness.wrapped(script, self.folder / "out", "--repeat=5", "--timeout=2s", collector="ptrace")
        process = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=harness.DEADLINE)
        report = harness.Outcome(process, self.folder / "out").report()
        harness.validate(report)
        self.assertEqual([(crash["crash_info"]["kind"], crash["attempt"]) for crash in report["crashes"]],
                         [("signal", 1), ("signal", 2), ("hang", 3)], process.stderr)
        self.assertEqual((report["attempts"]["passed"]["count"], report["soft_errors"]), (2, []), process.stderr)

    def test_only_one_test_of_a_googletest_program(self):
        listed = subprocess.run([GTEST, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout.splitlines()
        suite = next(line for line in listed if line.endswith("."))
        name = suite + listed[listed.index(suite) + 1].split()[0]
        outcome, _, _ = self.run_attempts([GTEST], "--repeat", "2", "--only", name)
        self.assertEqual(outcome.stdout.count("[==========] Running 1 test from 1 test suite."), 2, outcome)
        self.assertEqual(outcome.stdout.count(f"[ RUN      ] {name}"), 2)

    def test_only_needs_a_runner_that_it_knows(self):
        outcome = harness.run(["true"], self.folder, "--only", "X")
        self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
        self.assertIn("neither ctest, nor pytest, nor a GoogleTest program", outcome.stderr)


harness.main()
