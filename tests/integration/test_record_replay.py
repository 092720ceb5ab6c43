"""A recorded run and its replay: the same reports to the byte, without privilege, and whatever is wrong with the file.

    test_record_replay.py PROGRAM...        fixtures: null_write first, then worker_thread
"""

import os
import pathlib
import shutil
import struct
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

PROGRAMS = [pathlib.Path(word) for word in sys.argv[1:]]
NULL_WRITE, WORKER_THREAD = PROGRAMS[:2]
NOBODY = 65534


def files_below(folder):
    """Name and content of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class RecordReplay(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.recording = self.folder / "recording"

    def plain(self, *arguments, **popen_arguments):
        """The wrapper with arguments of our own making; reports go to folder/out."""
        command = [str(harness.RUN), "--output-dir", str(self.folder / "out"), *map(str, arguments)]
        process = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, **popen_arguments)
        return harness.Outcome(process, self.folder / "out")

    def record(self, *command):
        """A recorded run. Its reports are moved away, so that those of the replay have the same place."""
        live = harness.run(command, self.folder, "--record", str(self.recording))
        live.output_dir = self.folder / "live"
        shutil.rmtree(live.output_dir, ignore_errors=True)
        (self.folder / "out").rename(live.output_dir)
        return live

    def replay(self, *options):
        return self.plain(*options, "--replay", self.recording)

    def assert_same(self, live, replayed):
        self.assertEqual(replayed.status, live.status, replayed)
        self.assertEqual(replayed.stdout, "")
        self.assertTrue(live.stderr.endswith(replayed.stderr), f"{live}\n{replayed}")
        written, again = files_below(live.output_dir), files_below(replayed.output_dir)
        self.assertEqual(sorted(again), sorted(written))
        self.assertLessEqual({"report.json", "junit.xml"}, set(written))
        for name, content in written.items():
            self.assertEqual(again[name].decode(errors="replace"), content.decode(errors="replace"), name)
            self.assertEqual(again[name], content, name)

    def test_same_reports(self):
        for program in PROGRAMS:
            with self.subTest(program.name):
                live = self.record(program)
                self.assert_same(live, self.replay())

    def test_same_reports_of_several_processes(self):
        script = f"{NULL_WRITE} & {WORKER_THREAD} & {NULL_WRITE} & wait; sleep 60 >/dev/null 2>&1 & exit 3"
        live = self.record("sh", "-c", script, "\udcff not UTF-8")
        try:
            self.assertEqual(live.status, 3)
            report = live.report()
            self.assertEqual((report["counts"]["crashes"], len(report["run"]["leftover_processes"])), (3, 1))
            self.assert_same(live, self.replay())
        finally:
            for process in live.report()["run"]["leftover_processes"]:
                harness.end_process(process["pid"])

    def test_same_report_where_nothing_could_be_captured(self):
        command = harness.wrapped(["true"], self.folder / "out", "--best-effort", "--record", str(self.recording))
        script = 'mount -t tmpfs none /sys/kernel/btf || exit 77; exec "$@"'
        process = subprocess.run([*harness.privilege(), "unshare", "--mount", "sh", "-c", script, "sh", *command],
                                 cwd=self.folder, capture_output=True, text=True)
        if process.returncode == harness.SKIP:
            self.skipTest(process.stderr.strip())
        live = harness.Outcome(process, self.folder / "live")
        (self.folder / "out").rename(live.output_dir)
        self.assertFalse(live.report()["collector"]["health"]["complete"])
        self.assert_same(live, self.replay("--best-effort"))
        self.assertEqual(self.replay().status, harness.HARNESS_FAILED)

    def test_exit_status_is_decided_anew(self):
        live = self.record("sh", "-c", f"{NULL_WRITE}; exit 0")
        self.assertEqual(live.status, harness.CRASH_BEHIND_SUCCESS, live)
        self.assertEqual(self.replay().status, harness.CRASH_BEHIND_SUCCESS)
        self.assertEqual(self.replay("--fail-on", "never").status, 0)

    def test_replay_needs_no_privilege(self):
        """As nobody, without sudo, and where there is no probe at all."""
        place = self.folder / "open"
        place.mkdir()
        wrapper = harness.installed_copy(place)
        (place / harness.PROBE.name).unlink()
        program = shutil.copy(NULL_WRITE, place)
        live = self.record(program)
        self.folder.chmod(0o777)
        command = [str(wrapper), "--output-dir", str(self.folder / "out"), "--replay", str(self.recording)]
        if os.geteuid() == 0:
            os.chown(self.recording, NOBODY, NOBODY)
            nobody = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
            command = [shutil.which("setpriv"), *nobody, *command]
        environment = {**os.environ, "PATH": str(place)}
        process = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        self.assert_same(live, harness.Outcome(process, self.folder / "out"))

    def test_deleted_program_is_said(self):
        program = pathlib.Path(shutil.copy(NULL_WRITE, self.folder / "program"))
        self.record(program)
        program.unlink()
        crash, = self.replay().report()["crashes"]
        self.assertTrue([error for error in crash["soft_errors"] if str(program) in error], crash["soft_errors"])
        self.assertEqual(harness.crashed_thread(crash)["frames"][0]["module"], str(program))

    def test_recording_is_private(self):
        self.record("true")
        self.assertEqual(self.recording.stat().st_mode & 0o777, 0o600)

    def test_killed_wrapper_leaves_a_recording(self):
        harness.become_subreaper()
        command = harness.wrapped(["sh", "-c", f"{NULL_WRITE}; read line"], self.folder / "lost",
                                  "--record", str(self.recording))
        wrapper = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

        def recorded_crash():
            outcome = self.replay("--best-effort")
            crashes = outcome.report()["crashes"] if outcome.status != harness.HARNESS_FAILED else []
            return crashes and crashes[0]["status"] == "OK"

        try:
            harness.wait_until(recorded_crash, "the crash is in the recording")
        finally:
            wrapper.send_signal(signal.SIGKILL)
            wrapper.stdin.close()  # ends the command, which nobody watches any more
            wrapper.wait()
            harness.reap_orphans()
        replayed = self.replay()
        self.assertEqual(replayed.status, harness.HARNESS_FAILED, replayed)
        report = replayed.report()
        harness.validate(report)
        self.assertEqual(report["counts"]["crashes"], 1)
        self.assertEqual(report["run"]["command_args"], command[-3:])
        self.assertFalse(report["collector"]["health"]["complete"])
        self.assertIn("the recording is cut", " ".join(report["collector"]["health"]["degraded"]))

    def test_full_disk_is_said_and_changes_nothing_else(self):
        small = self.folder / "small"
        small.mkdir()
        command = harness.wrapped([WORKER_THREAD], self.folder / "out", "--record", str(small / "recording"))
        script = f'mount -t tmpfs -o size=16k none {small} || exit 77; exec "$@"'
        process = subprocess.run([*harness.privilege(), "unshare", "--mount", "sh", "-c", script, "sh", *command],
                                 cwd=self.folder, capture_output=True, text=True)
        if process.returncode == harness.SKIP:
            self.skipTest(process.stderr.strip())
        outcome = harness.Outcome(process, self.folder / "out")
        self.assertEqual(outcome.status, 128 + signal.SIGSEGV, outcome)
        report = outcome.report()
        self.assertEqual(report["counts"]["crashes"], 1)
        self.assertTrue(report["collector"]["health"]["complete"])
        self.assertIn("No space left on device", " ".join(report["soft_errors"]))

    def assert_refused(self, outcome, *words):
        self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
        self.assertEqual(len(outcome.stderr.strip().splitlines()), 1, outcome)
        for word in words:
            self.assertIn(word, outcome.stderr)
        self.assertFalse((self.folder / "out" / "report.json").exists(), "a report was written")

    def test_place_that_cannot_be_recorded_to(self):
        (self.folder / "file").write_text("")
        ran = self.folder / "ran"
        for place in (self.folder / "file" / "recording", self.folder, "/dev/null"):
            with self.subTest(place):
                self.assert_refused(self.plain("--record", place, "--", "touch", ran), str(place))
                self.assertFalse(ran.exists(), "the command ran")

    def test_file_that_cannot_be_replayed(self):
        self.assert_refused(self.replay(), str(self.recording), "No such file")
        for content, words in ((b"", "is no recording"), (NULL_WRITE.read_bytes(), "is no recording"),
                               (b"crashcrawler-recording 0\n", "another format"),
                               (b"crashcrawler-recording 1\n", "does not say what was run")):
            with self.subTest(words):
                self.recording.write_bytes(content)
                self.assert_refused(self.replay(), str(self.recording), words)

    def test_every_cut_is_refused_or_marked(self):
        self.record(NULL_WRITE)
        whole = self.recording.read_bytes()
        for cut in range(0, len(whole), len(whole) // 40):
            with self.subTest(cut):
                self.recording.write_bytes(whole[:cut])
                shutil.rmtree(self.folder / "out", ignore_errors=True)
                replayed = self.replay()
                self.assertEqual(replayed.status, harness.HARNESS_FAILED, replayed)
                if (self.folder / "out").exists():
                    report = replayed.report()
                    harness.validate(report)
                    self.assertFalse(report["collector"]["health"]["complete"])
                else:
                    self.assert_refused(replayed, str(self.recording))

    def test_a_crash_of_which_no_name_came(self):
        """As when its first records did not fit the ring."""
        self.record(NULL_WRITE)
        process, path = 1, 3  # enum cc_record_type, bpf/crash_event.h
        rest = self.recording.read_bytes()
        at = rest.index(b"\n") + 1
        kept = [rest[:at]]
        while at < len(rest):
            kind, _, size = struct.unpack_from("<HHI", rest, at)
            kept += [rest[at:at + size]] if kind not in (process, path) else []
            at += size
        self.recording.write_bytes(b"".join(kept))
        report = self.replay().report()
        self.assertEqual([crash["id"] for crash in report["crashes"]], ["0001-unknown-SIGSEGV"])
        self.assertTrue((self.folder / "out" / "crashes" / "0001-unknown-SIGSEGV.json").exists())


if __name__ == "__main__":
    harness.main()
