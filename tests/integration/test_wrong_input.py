"""What cannot work is refused before the command starts, with one message that names the cause and the next step."""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import harness

NOBODY = "65534"


class WrongInput(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())

    def assert_one_message(self, outcome, *words):
        lines = outcome.stderr.strip().splitlines()
        self.assertTrue(1 <= len(lines) <= 3, outcome)
        for word in words:
            self.assertIn(word, outcome.stderr)

    def plain(self, *arguments, **popen_arguments):
        """The wrapper with arguments of our own making; reports would go to the folder."""
        arguments = [str(harness.RUN), *arguments]
        process = subprocess.run(arguments, cwd=self.folder, capture_output=True, text=True, **popen_arguments)
        return harness.Outcome(process, self.folder / "crashcrawler-out")

    def test_command_that_does_not_exist(self):
        for command in ("no-such-command-of-crashcrawler", "./no-such-file"):
            with self.subTest(command):
                outcome = harness.run([command], self.folder)
                self.assertEqual(outcome.status, 127, outcome)
                self.assert_one_message(outcome, command)

    def test_command_that_is_not_executable(self):
        (self.folder / "text").write_text("not a program\n")
        for command in ("./text", "./"):
            with self.subTest(command):
                outcome = harness.run([command], self.folder)
                self.assertEqual(outcome.status, 126, outcome)
                self.assert_one_message(outcome, command)

    def test_interpreter_that_does_not_exist(self):
        script = self.folder / "script"
        script.write_text("#!/no/such/interpreter\n")
        script.chmod(0o755)
        outcome = harness.run(["./script"], self.folder)
        self.assertEqual(outcome.status, 127, outcome)
        self.assert_one_message(outcome, "./script")

    def test_output_directory_that_cannot_be_written(self):
        # below a regular file, which stops root too
        (self.folder / "file").write_text("")
        ran = self.folder / "ran"
        command = harness.wrapped(["touch", ran], self.folder / "file" / "out")
        outcome = self.plain(*command[1:])
        self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
        self.assert_one_message(outcome, str(self.folder / "file" / "out"))
        self.assertFalse(ran.exists(), "the command ran")

    def test_unknown_option(self):
        ran = self.folder / "ran"
        outcome = self.plain("--no-such-option", "--", "touch", ran)
        self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
        self.assertIn("--no-such-option", outcome.stderr)
        self.assertRegex(outcome.stderr, r"(?i)usage")
        self.assertEqual(outcome.stdout, "")
        self.assertFalse(ran.exists(), "the command ran")

    def test_wrong_option_value(self):
        for option in ("--leftovers=sometimes", "--linger=soon", "--linger=-1"):
            with self.subTest(option):
                outcome = self.plain(option, "--", "true")
                self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
                self.assertIn(option.split("=")[0], outcome.stderr)

    def test_empty_command(self):
        for arguments in ((), ("--",)):
            with self.subTest(arguments):
                outcome = self.plain(*arguments)
                self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
                self.assertRegex(outcome.stderr, r"(?i)usage")
                self.assertEqual(outcome.stdout, "")

    def test_command_without_dashes(self):
        bare = subprocess.run(["ctest", "-N"], cwd=self.folder, capture_output=True, text=True)
        outcome = self.plain("ctest", "-N")
        self.assertEqual((outcome.status, outcome.stdout), (bare.returncode, bare.stdout), outcome)
        self.assertEqual(outcome.report()["run"]["command_args"], ["ctest", "-N"])

    def test_options_before_a_command_without_dashes(self):
        outcome = self.plain("--output-dir", "elsewhere", "sh", "-c", "exit 3")
        self.assertEqual(outcome.status, 3, outcome)
        self.assertTrue((self.folder / "elsewhere" / "report.json").exists())

    def test_no_privileges(self):
        place = self.folder / "open"
        place.mkdir()
        wrapper = harness.installed_copy(place)
        self.folder.chmod(0o755)
        home = self.folder / "home"
        home.mkdir()
        home.chmod(0o777)
        path = self.folder / "path"  # everything the command needs, but no sudo
        path.mkdir()
        (path / "touch").symlink_to(shutil.which("touch"))
        command = [str(wrapper), "--collector=bpf", "--output-dir", str(home / "out"), "--", "touch", str(home / "ran")]
        if os.geteuid() == 0:
            nobody = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
            command = [shutil.which("setpriv"), *nobody, *command]
        environment = {**os.environ, "PATH": str(path)}
        process = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
        outcome = harness.Outcome(process, home / "out")
        self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
        self.assert_one_message(outcome, "sudo")
        self.assertFalse((home / "ran").exists(), "the command ran")

    def in_mount_namespace(self, preparation):
        """Runs the wrapper where `preparation`, a shell command, has changed what is mounted."""
        ran = self.folder / "ran"
        command = harness.wrapped(["touch", ran], self.folder / "out")
        script = preparation + ' || exit 77; exec "$@"'
        process = subprocess.run([*harness.privilege(), "unshare", "--mount", "sh", "-c", script, "sh", *command],
                                 cwd=self.folder, capture_output=True, text=True)
        if process.returncode == harness.SKIP:
            self.skipTest(f"{preparation}: {process.stderr.strip()}")
        outcome = harness.Outcome(process, self.folder / "out")
        self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
        self.assertFalse(ran.exists(), "the command ran")
        return outcome

    def test_no_btf(self):
        self.assert_one_message(self.in_mount_namespace("mount -t tmpfs none /sys/kernel/btf"), "BTF")


if __name__ == "__main__":
    harness.main()
