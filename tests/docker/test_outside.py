"""Wrapping from outside: what crashes in a container is captured by a wrapper that is not in it, with the container's packages.

    test_outside.py PORTABLE_CRASH ROOT    ROOT: another Debian than this one (tests/packages/test_root.py make)
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
import docker
import harness
import ordinary_user

PROGRAM, ROOT = map(pathlib.Path, sys.argv[1:])
IMAGE = f"local/crashcrawler-outside:{ROOT.name}"
FRAMES = ["check_total", "run_suite", "start_of_program"]


class InContainer(unittest.TestCase):
    """A program that crashes in a container of another Debian."""

    @classmethod
    def setUpClass(cls):
        cls.engine = docker.connect()
        if not (ROOT / "complete").exists():
            raise unittest.SkipTest(f"there is no other Debian; the test packages.root.{ROOT.name} says why")
        tar = subprocess.Popen(["tar", "-C", ROOT / "system", "--exclude=./proc/*", "--exclude=./sys/*", "-c", "."],
                               stdout=subprocess.PIPE)
        cls.engine.docker("import", "-", IMAGE, stdin=tar.stdout)
        tar.stdout.close()
        cls.addClassCleanup(cls.engine.docker, "image", "rm", "--force", IMAGE)
        if tar.wait() != 0:
            raise AssertionError(f"tar of {ROOT} failed")
        cls.version = cls.engine.run("-W", "-f", "${Version}", "libc6", options=["--entrypoint", "dpkg-query"], image=IMAGE).stdout
        here = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libc6"], capture_output=True, text=True).stdout
        assert cls.version not in ("", here), f"libc6 is {here} here and {cls.version} there"

    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.shared = self.folder / "shared"
        self.shared.mkdir()
        self.folder.chmod(0o755)
        shutil.copy(PROGRAM, self.shared / "crash")
        self.container = f"crashcrawler-outside-{os.getpid()}-{self.id().rpartition('.')[2]}"
        self.addCleanup(self.engine.docker, "rm", "--force", self.container, check=False)

    def docker_run(self, *command, options=("--rm",), name=None):
        return ["docker", "run", *options, "--name", name or self.container, "--network", "none", "-v", f"{self.shared}:/shared",
                IMAGE, *command]

    def expect_crash(self, report):
        """The only crash of the report, which is that of our program in a container; returns it."""
        crash, = report["crashes"]
        self.assertEqual([frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))][-3:], FRAMES)
        self.assertEqual(crash["process"]["executable"]["path"], "/shared/crash")
        package, = [module["package"] for module in crash["modules"] if module.get("soname") == "libc.so.6"]
        self.assertEqual((package["name"], package["version"]), ("libc6", self.version))
        return crash

    def start(self, *command):
        """A container of ours in the background; its id."""
        return self.engine.docker(*self.docker_run(*command, options=["--detach"])[1:]).stdout.strip()


class Outside(InContainer):
    def wrap(self, command, *options):
        outcome = harness.run(command, self.folder, *options, env=self.engine.environment, timeout=harness.DEADLINE)
        harness.validate(outcome.report())
        return outcome

    def watch(self, *options):
        """The wrapper without a command, as soon as it watches."""
        return harness.start_watching(self, self.folder, *options, env=self.engine.environment)

    def end_of(self, wrapper):
        _, said = wrapper.communicate(timeout=harness.DEADLINE)
        return wrapper.returncode, json.loads((self.folder / "out" / "report.json").read_text()), said

    # --- docker run ---

    def test_the_first_process_of_a_container_crashes_and_it_is_gone(self):
        outcome = self.wrap(self.docker_run("/shared/crash", options=["--rm", "-w", "/usr"]))
        process = self.expect_crash(outcome.report())["process"]
        self.assertEqual((process["container_pid"], process["working_directory"], process["command_args"]), (1, "/usr", ["/shared/crash"]))
        self.assertEqual(outcome.report()["soft_errors"], [], outcome)
        self.assertEqual(outcome.report()["run"]["command_args"][:3], ["docker", "run", "--rm"])
        self.assertNotEqual(outcome.status, 0)

    def test_a_child_crashes_behind_success(self):
        outcome = self.wrap(self.docker_run("sh", "-c", "/shared/crash; true"))
        self.assertGreater(self.expect_crash(outcome.report())["process"]["container_pid"], 1)
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)

    def test_a_cidfile_of_the_command(self):
        outcome = self.wrap(self.docker_run("/shared/crash", options=["--rm", "--cidfile", "shared/id"]))
        self.assertIn((self.shared / "id").read_text(), self.expect_crash(outcome.report())["process"]["cgroup"])

    def test_nothing_crashes(self):
        outcome = self.wrap(self.docker_run("sh", "-c", "sleep 1000 & exit 3"))  # the kernel ends what is left
        self.assertEqual((outcome.status, outcome.report()["crashes"], outcome.report()["soft_errors"]), (3, [], []), outcome)

    def test_containers_of_others_are_not_seen(self):
        recording = self.folder / "recording"
        waits = "until [ -e /shared/go ]; do sleep 0.02; done; /shared/crash"
        arguments = harness.wrapped(self.docker_run("sh", "-c", waits), self.folder / "out", "--record", str(recording))
        wrapper = subprocess.Popen(arguments, cwd=self.folder, env=self.engine.environment, stderr=subprocess.PIPE, text=True)
        self.addCleanup(wrapper.stderr.close)
        self.addCleanup(wrapper.wait)
        self.addCleanup(self.engine.docker, "rm", "--force", self.container, check=False)
        harness.wait_until(lambda: self.engine.docker("inspect", self.container, check=False).returncode == 0, "our container is there")
        other = self.docker_run("sh", "-c", "cp /shared/crash /not_ours; /not_ours", name=self.container + "-other")
        self.engine.docker(*other[1:], check=False)
        (self.shared / "go").touch()
        _, report, _ = self.end_of(wrapper)
        self.expect_crash(report)
        self.assertIn(b"crash", recording.read_bytes())
        self.assertNotIn(b"not_ours", recording.read_bytes())

    def test_a_container_that_does_not_end_in_time(self):
        outcome = self.wrap(self.docker_run("sleep", "1000"), "--timeout=3s", "--grace=100ms", "--linger=100ms")
        self.assertEqual(outcome.status, 124, outcome)
        report = outcome.report()
        hang, = [crash for crash in report["crashes"] if crash["process"]["name"] == "sleep"]
        versions = {module["package"]["version"] for module in hang["modules"] if module.get("package", {}).get("name") == "libc6"}
        self.assertEqual(versions, {self.version})
        self.assertIn("sleep", [process["name"] for process in report["run"]["leftover_processes"]])
        self.assertIn("goes on", " ".join(report["soft_errors"]))
        running = self.engine.docker("inspect", "--format", "{{.State.Running}}", self.container).stdout.strip()
        self.assertEqual(running, "true", "nobody but its engine ends it")

    def test_a_container_that_cannot_be_made(self):
        outcome = self.wrap(["docker", "run", "--rm", "local/no-such-image:crashcrawler"])
        self.assertEqual((outcome.status, outcome.report()["soft_errors"]), (125, []), outcome)

    # --- attached ---

    def test_attached_while_a_command_runs(self):
        container = self.start("sleep", "1000")
        for name in (self.container, container, container[:12]):
            with self.subTest(name):
                outcome = self.wrap(["docker", "exec", self.container, "/shared/crash"], f"--attach-container={name}")
                self.assertIn(container, self.expect_crash(outcome.report())["process"]["cgroup"])

    def test_attached_without_a_command_until_the_container_ends(self):
        self.start("sh", "-c", "until [ -e /shared/end ]; do sleep 0.02; done")
        wrapper = self.watch(f"--attach-container={self.container}")
        self.engine.docker("exec", self.container, "/shared/crash", check=False)
        (self.shared / "end").touch()
        status, report, said = self.end_of(wrapper)
        self.expect_crash(report)
        self.assertEqual(status, harness.CRASH_BEHIND_SUCCESS, said)

    def test_attached_until_a_signal(self):
        container = self.start("sleep", "1000")
        wrapper = self.watch("--attach-cgroup", f"/docker/{container}")
        wrapper.send_signal(signal.SIGTERM)
        status, report, said = self.end_of(wrapper)
        self.assertEqual((status, report["crashes"]), (0, []), said)
        running = self.engine.docker("inspect", "--format", "{{.State.Running}}", self.container).stdout.strip()
        self.assertEqual(running, "true")

    def test_a_container_that_is_not_there(self):
        name = self.container + "-created"
        self.engine.docker("create", "--name", name, IMAGE, "true")
        self.addCleanup(self.engine.docker, "rm", name)
        for what, words in ((name, "does not run"), ("no-such-container", "told of none"), ("0123456789ab", "no cgroup has this id")):
            with self.subTest(what):
                process = subprocess.run([harness.RUN, "--attach-container", what], cwd=self.folder, env=self.engine.environment,
                                         capture_output=True, text=True)
                self.assertEqual(process.returncode, harness.HARNESS_FAILED)
                self.assertIn(words, process.stderr)
                self.assertFalse((self.folder / "crashcrawler-out").exists())


class AsOrdinaryUser(InContainer):
    """The same for a user who is not root: what sudo and his groups allow, and what is said of the rest."""

    SCRIPT = "echo words of its own; /shared/crash; exit 3"

    def setUp(self):
        super().setUp()
        self.wrapper = ordinary_user.installed_copy(self.folder)
        self.socket = ordinary_user.socket_of(self.engine)
        self.user = ordinary_user.OrdinaryUser(socket=self.socket)
        self.without_engine = ordinary_user.OrdinaryUser(socket=self.socket, may_use_engine=False)
        self.without_sudo = ordinary_user.OrdinaryUser(rules=(), socket=self.socket)

    def wrap(self, user, *words):
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        outcome = harness.Outcome(user.run(self.wrapper, "--output-dir", out, *words, cwd=self.folder), out)
        if (out / "report.json").exists():
            harness.validate(outcome.report())
            self.assertEqual(out.stat().st_uid, ordinary_user.uid())
        return outcome

    def expect_all(self, outcome):
        self.expect_crash(outcome.report())
        self.assertEqual((outcome.status, outcome.stdout), (3, "words of its own\n"), outcome)
        self.assertEqual(outcome.report()["soft_errors"], [], outcome)

    def refused(self, user, *words, said):
        """Nothing is started, unless --best-effort says so; what is attached to is in `words`."""
        command = ("sh", "-c", "echo words of its own; exit 3")
        for words_and_command in ((*words, "--", *command), words):
            outcome = self.wrap(user, *words_and_command)
            self.assertEqual((outcome.status, outcome.stdout), (harness.HARNESS_FAILED, ""), outcome)
            self.assertIn(said, outcome.stderr)
            self.assertFalse((outcome.output_dir / "report.json").exists())
        outcome = self.wrap(user, "--best-effort", *words, "--", *command)
        self.assertEqual((outcome.status, outcome.stdout), (3, "words of its own\n"), outcome)
        self.assertIn("nothing could be captured", outcome.stderr)
        self.assertEqual(outcome.report()["crashes"], [])

    # --- docker run ---

    def test_docker_run(self):
        self.expect_all(self.wrap(self.user, "--", *self.docker_run("sh", "-c", self.SCRIPT)))

    def test_docker_run_under_sudo(self):
        """root begins, and the command runs as him, with the groups that he has."""
        out = self.folder / "out"
        process = self.user.run("sudo", "-n", f"DOCKER_HOST={self.user.environment['DOCKER_HOST']}", self.wrapper, "--output-dir", out, "--",
                                *self.docker_run("sh", "-c", self.SCRIPT), cwd=self.folder)
        outcome = harness.Outcome(process, out)
        self.expect_all(outcome)
        self.assertEqual(out.stat().st_uid, ordinary_user.uid())

    def test_docker_run_without_sudo(self):
        command = self.docker_run("sh", "-c", self.SCRIPT)
        outcome = self.wrap(self.without_sudo, "--", *command)
        self.assertEqual((outcome.status, outcome.stdout), (harness.HARNESS_FAILED, ""), outcome)
        self.assertIn("sudo: a password is required", outcome.stderr)
        outcome = self.wrap(self.without_sudo, "--best-effort", "--", *command)
        self.assertEqual((outcome.status, outcome.stdout, outcome.report()["crashes"]), (3, "words of its own\n", []), outcome)
        self.assertIn("crashes may have happened unseen", outcome.stderr)

    def test_docker_run_where_the_engine_refuses(self):
        """Its client says so, and there is no container of which anything could be missing."""
        command = self.docker_run("sh", "-c", self.SCRIPT)
        bare = self.without_engine.run(*command, cwd=self.folder)
        self.assertIn("permission denied", bare.stderr)
        outcome = self.wrap(self.without_engine, "--", *command)
        self.assertEqual((outcome.status, outcome.stdout), (bare.returncode, bare.stdout), outcome)
        self.assertTrue(outcome.stderr.startswith(bare.stderr), outcome)
        error, = outcome.report()["soft_errors"]
        self.assertRegex(error, f"user {ordinary_user.uid()} may not write to /run/docker.sock")

    def test_docker_run_by_an_engine_at_another_place(self):
        """That this one is root's nobody has told the probe."""
        user = ordinary_user.OrdinaryUser(socket=self.socket, place="/run/elsewhere.sock")
        for options, status in (((), harness.HARNESS_FAILED), (("--best-effort",), 3)):
            outcome = self.wrap(user, *options, "--", *self.docker_run("sh", "-c", self.SCRIPT))
            self.assertEqual((outcome.status, outcome.stdout, outcome.report()["crashes"]), (status, "words of its own\n", []), outcome)
            self.assertIn("the container is not watched", outcome.stderr)

    def test_a_container_that_does_not_end_in_time(self):
        """ptrace(2) is not for him there, and that is said."""
        outcome = self.wrap(self.user, "--timeout=3s", "--grace=100ms", "--linger=100ms", "--", *self.docker_run("sleep", "1000"))
        self.assertEqual(outcome.status, 124, outcome)
        report = outcome.report()
        self.assertRegex(" ".join(report["soft_errors"]), r"process \d+ \(sleep\) could not be looked at.* goes on")
        self.assertIn("sleep", [process["name"] for process in report["run"]["leftover_processes"]])
        self.assertEqual([crash["process"]["name"] for crash in report["crashes"]], ["docker"])

    # --- attached ---

    def test_attached_while_a_command_runs(self):
        container = self.start("sleep", "1000")
        for attach in (f"--attach-container={self.container}", f"--attach-container={container[:12]}", f"--attach-cgroup=/docker/{container}"):
            with self.subTest(attach):
                self.expect_all(self.wrap(self.user, attach, "--", "docker", "exec", container, "sh", "-c", self.SCRIPT))

    def test_attached_without_a_command(self):
        for number, attach in enumerate(("--attach-container={}", "--attach-cgroup=/docker/{}")):
            with self.subTest(attach):
                name = f"{self.container}-{number}"
                self.addCleanup(self.engine.docker, "rm", "--force", name, check=False)
                container = self.engine.docker(*self.docker_run("sleep", "1000", options=["--detach"], name=name)[1:]).stdout.strip()
                folder = self.folder / str(number)
                folder.mkdir()
                folder.chmod(0o777)
                wrapper = harness.start_watching(self, folder, attach.format(container),
                                                 program=[*self.user.prefix, str(self.wrapper)], env=self.user.environment)
                self.engine.docker("exec", container, "/shared/crash", check=False)
                self.engine.docker("kill", container)
                _, said = wrapper.communicate(timeout=harness.DEADLINE)
                report = json.loads((folder / "out" / "report.json").read_text())
                self.expect_crash({**report, "crashes": [crash for crash in report["crashes"] if crash["process"]["name"] == "crash"]})
                self.assertEqual(wrapper.returncode, harness.CRASH_BEHIND_SUCCESS, said)

    def test_containers_that_are_not_his(self):
        container = self.start("sleep", "1000")
        said = f"does not belong to the user who asks (uid {ordinary_user.uid()}), and he may not use the container engine"
        for attach in (f"--attach-container={container}", f"--attach-container={container[:12]}", f"--attach-cgroup=/docker/{container}"):
            with self.subTest(attach):
                self.refused(self.without_engine, attach, said=said)

    def test_by_a_name_that_no_engine_tells_him(self):
        self.start("sleep", "1000")
        outcome = self.wrap(self.without_engine, f"--attach-container={self.container}", "--", "true")
        self.assertEqual(outcome.status, harness.HARNESS_FAILED)
        self.assertIn("permission denied", outcome.stderr)

    def test_attached_without_sudo(self):
        container = self.start("sleep", "1000")
        self.refused(self.without_sudo, f"--attach-cgroup=/docker/{container}", said="sudo: a password is required")


if __name__ == "__main__":
    harness.main()
