"""What crashes in a cgroup of others, with a cgroup of our own making in place of a container, and with a stand-in for a
container engine where only its command line matters. Real engines: tests/docker/test_outside.py.

    test_attach.py NULL_WRITE
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
import ordinary_user

PROGRAM = pathlib.Path(sys.argv[1])
ID = "0123456789abcdef" * 4


class WithCgroup(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can make a cgroup")
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.mount = harness.cgroup2_mounts()[0]
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def make_cgroup(self, name):
        cgroup = self.mount / name
        cgroup.mkdir()
        self.addCleanup(lambda: harness.wait_until(lambda: self.remove(cgroup), f"{cgroup} is empty"))
        return cgroup

    @staticmethod
    def remove(cgroup):
        for directory in sorted([cgroup, *cgroup.rglob("*/")], reverse=True):
            try:
                directory.rmdir()
            except OSError:
                return False
        return True

    @staticmethod
    def let(process):
        process.communicate(b"go\n", timeout=harness.DEADLINE)

    def end_of(self, wrapper):
        _, said = wrapper.communicate(timeout=harness.DEADLINE)
        process = subprocess.CompletedProcess([], wrapper.returncode, "", said)
        outcome = harness.Outcome(process, self.folder / "out")
        harness.validate(outcome.report())
        return outcome


class Attach(WithCgroup):
    def inside(self, cgroup, *command):
        """A process that is no descendant of the wrapper, in the cgroup before it begins `command`. It waits for end_of()."""
        script = 'echo $$ > "$0/cgroup.procs" && read go && exec "$@"'
        process = subprocess.Popen(["sh", "-c", script, cgroup, *map(str, command)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdin.close)
        harness.wait_until(lambda: str(process.pid) in (cgroup / "cgroup.procs").read_text().split(), "the process is in the cgroup")
        return process

    def watch(self, *options):
        """The wrapper without a command, as soon as it watches."""
        return harness.start_watching(self, self.folder, *options, env=self.environment)

    def expect_crash(self, outcome):
        crash, = outcome.report()["crashes"]
        self.assertEqual(crash["process"]["executable"]["path"], str(PROGRAM))
        functions = [frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))]
        self.assertEqual(functions[:3], ["write_through_null", "save_score", "finish_game"])
        self.assertEqual(outcome.report()["collector"]["health"]["degraded"], [], outcome)
        return crash

    # --- --attach-cgroup ---

    def test_the_tree_of_the_command_and_the_cgroup(self):
        before = harness.kernel_lists()
        cgroup = self.make_cgroup("attach-both")
        wrapper = self.inside(cgroup, PROGRAM)
        script = f"{PROGRAM}; echo ready; read line"
        arguments = harness.wrapped(["sh", "-c", script], self.folder / "out", f"--attach-cgroup={cgroup}")
        run = subprocess.Popen(arguments, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.stdout.readline(), "ready\n")
        self.let(wrapper)
        stdout, stderr = run.communicate("\n", timeout=harness.DEADLINE)
        outcome = harness.Outcome(subprocess.CompletedProcess([], run.returncode, stdout, stderr), self.folder / "out")
        crashes = outcome.report()["crashes"]
        self.assertEqual([pathlib.Path(crash["process"]["cgroup"]).name == cgroup.name for crash in crashes], [False, True], outcome)
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS)
        self.assertTrue(cgroup.exists())
        harness.assert_nothing_left(before)

    def test_without_a_command_until_it_is_empty(self):
        for form in ("directory", "as in /proc/PID/cgroup"):
            with self.subTest(form):
                cgroup = self.make_cgroup(f"attach-{len(form)}")
                process = self.inside(cgroup, "sh", "-c", f"{PROGRAM} & wait")
                path = str(cgroup) if form == "directory" else "/" + cgroup.name
                wrapper = self.watch("--attach-cgroup", path)
                self.let(process)
                outcome = self.end_of(wrapper)
                self.assertEqual(self.expect_crash(outcome)["process"]["cgroup"], "/" + cgroup.name)
                self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS)
                self.assertEqual(outcome.report()["run"]["command_args"], ["crashcrawler-run", "--attach-cgroup", path])

    def test_whoever_comes_later_and_below_it(self):
        cgroup = self.make_cgroup("attach-later")
        (cgroup / "below").mkdir()
        stays = self.inside(cgroup, "true")
        wrapper = self.watch(f"--attach-cgroup={cgroup}", "--fail-on=never")
        self.let(self.inside(cgroup / "below", PROGRAM))
        self.let(stays)
        outcome = self.end_of(wrapper)
        self.expect_crash(outcome)
        self.assertEqual(outcome.status, 0, outcome)

    def test_it_ends_by_a_signal_or_when_the_time_is_over_and_ends_nobody(self):
        cgroup = self.make_cgroup("attach-signal")
        process = self.inside(cgroup, "true")
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, "timeout"):
            with self.subTest(how):
                wrapper = self.watch(f"--attach-cgroup={cgroup}", *(["--timeout=200ms"] if how == "timeout" else []))
                if how != "timeout":
                    wrapper.send_signal(how)
                outcome = self.end_of(wrapper)
                self.assertEqual((outcome.status, outcome.report()["crashes"]), (0, []), outcome)
                self.assertIsNone(process.poll())
        self.assertIn(str(process.pid), (cgroup / "cgroup.procs").read_text().split())

    def test_in_another_mount_namespace_that_is_gone_then(self):
        cgroup = self.make_cgroup("attach-namespace")
        process = self.inside(cgroup, "unshare", "--mount", "--propagation=private", "sh", "-c",
                              f"mount -t tmpfs none /mnt && cp {PROGRAM} /mnt/hidden && exec /mnt/hidden")
        wrapper = self.watch(f"--attach-cgroup={cgroup}")
        self.let(process)
        crash, = self.end_of(wrapper).report()["crashes"]
        functions = [frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))]
        self.assertEqual((crash["process"]["executable"]["path"], functions[0]), ("/mnt/hidden", "write_through_null"))

    def test_a_recording_of_it(self):
        cgroup = self.make_cgroup("attach-record")
        process = self.inside(cgroup, PROGRAM)
        wrapper = self.watch(f"--attach-cgroup={cgroup}", "--record", "recording")
        self.let(process)
        first = self.end_of(wrapper).report()
        again = harness.RUN, "--replay", "recording", "--output-dir", "again"
        subprocess.run(again, cwd=self.folder, capture_output=True)
        second = harness.Outcome(subprocess.CompletedProcess([], 0), self.folder / "again").report()
        self.assertEqual(second["crashes"], first["crashes"])

    # --- what cannot be ---

    def refused(self, *words, said, environment=None):
        process = subprocess.run([harness.RUN, *words], cwd=self.folder, env=environment or self.environment, capture_output=True,
                                 text=True, timeout=harness.DEADLINE)
        self.assertEqual(process.returncode, harness.HARNESS_FAILED, process.stderr)
        self.assertIn(said, process.stderr)
        self.assertFalse((self.folder / "crashcrawler-out").exists())

    def test_options_that_exclude_each_other(self):
        for words, said in (
                (["--attach-cgroup=/x", "--attach-container=x"], "only one of them"),
                (["--attach-cgroup=/x", "--replay=x"], "nothing to attach to"),
                (["--attach-cgroup=/x", "--repeat=2", "true"], "not for many"),
                (["--repeat=2", "--", "docker", "run", "image"], "cannot be run many times"),
                (["--attach-cgroup="], "missing"),
                (["--attach-container="], "missing")):
            with self.subTest(words):
                self.refused(*words, said=said)

    def test_what_is_no_cgroup(self):
        for path, said in ((str(self.folder), "no directory of a cgroup2"), (f"{self.mount}/no-such", "no such cgroup"),
                           ("/no-such-cgroup", "no such cgroup"), ("relative", "begins with /"), (str(self.mount), "root of all cgroups"),
                           ("/proc/self/cgroup", "no directory of a cgroup2")):
            with self.subTest(path):
                self.refused("--attach-cgroup", path, "--", "true", said=said)

    def test_ptrace_does_not_reach_it(self):
        cgroup = self.make_cgroup("attach-ptrace")
        self.refused("--collector=ptrace", "--output-dir=out", f"--attach-cgroup={cgroup}", "true", said="ptrace(2) does not reach")
        self.stand_in("exit 0")
        self.refused("--collector=ptrace", "--output-dir=out", "docker", "run", "image", said="ptrace(2) does not reach")
        arguments = harness.wrapped(["true"], self.folder / "out", f"--attach-cgroup={cgroup}", "--best-effort", collector="ptrace")
        done = subprocess.run(arguments, cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ptrace(2) does not reach", done.stderr)

    # --- a stand-in for the client of an engine ---

    def stand_in(self, script, name="docker"):
        for client in ("docker", "podman"):
            (self.bin / client).write_text(f"#!/bin/sh\n{script if client == name else 'exit 127'}\n")
            (self.bin / client).chmod(0o755)

    def test_containers_that_cannot_be_told(self):
        for script, container, said in (
                ("exit 1", "name", "neither docker nor podman reaches an engine"),
                ("echo not to be reached >&2; exit 1", "name", "reaches an engine; docker: not to be reached; without an engine"),
                ("exit 1", ID[:11], "at least 12 digits"),
                ("exit 1", ID, "no cgroup has this id"),
                ("case $2 in ls) exit 0;; esac; exit 1", "name", "docker told of none; podman reaches no engine"),
                (f"case $2 in ls) echo {ID}; echo {ID};; *) exit 1;; esac", ID[:2], "more than one container"),
                (f"echo {ID} 0", "name", "does not run"),
                (f"echo {ID} {os.getpid()}", "name", "not run below a cgroup2 of this machine")):
            with self.subTest(script):
                self.stand_in(script)
                self.refused("--attach-container", container, "true", said=said)

    def test_a_container_by_the_name_of_its_cgroup(self):
        self.stand_in("exit 1")
        cgroup = self.make_cgroup(f"docker-{ID}.scope")
        process = self.inside(cgroup, PROGRAM)
        wrapper = self.watch("--attach-container", ID[:12])
        self.let(process)
        self.expect_crash(self.end_of(wrapper))

    def test_an_engine_elsewhere(self):
        self.stand_in(f'for word; do case $word in --cidfile=*) printf {ID} > "${{word#--cidfile=}}";; esac; done; exit 3')
        words = "nothing was captured in the container 0123456789ab: .*DOCKER_HOST"
        for options, status in ((("--record", self.folder / "run"), harness.HARNESS_FAILED), (("--best-effort",), 3)):
            with self.subTest(options):
                outcome = harness.run(["docker", "run", "image"], self.folder, *options, env=self.environment)
                self.assertEqual(outcome.status, status, outcome)
                self.assert_unwatched(outcome.report(), words)
        replayed = subprocess.run([harness.RUN, "--replay", self.folder / "run", "--output-dir", self.folder / "again"], capture_output=True)
        self.assertEqual(replayed.returncode, harness.HARNESS_FAILED, replayed)
        self.assert_unwatched(json.loads((self.folder / "again" / "report.json").read_text()), words)

    def assert_unwatched(self, report, words):
        health = report["collector"]["health"]
        self.assertFalse(health["complete"])
        self.assertRegex(" ".join(health["degraded"]), words)
        self.assertEqual(report["soft_errors"], [])

    def test_an_engine_elsewhere_that_starts_nothing(self):
        """An id, and then a mistake in what was to be started: docker-run(1)."""
        self.stand_in(f'for word; do case $word in --cidfile=*) printf {ID} > "${{word#--cidfile=}}";; esac; done; exit 127')
        outcome = harness.run(["docker", "run", "image"], self.folder, env=self.environment)
        self.assertEqual((outcome.status, outcome.report()["collector"]["health"]["complete"]), (127, True), outcome)
        self.assertRegex(" ".join(outcome.report()["soft_errors"]), "nothing was captured in the container 0123456789ab")

    def test_an_engine_without_a_daemon_starts_descendants_of_the_command(self):
        self.stand_in(f'for word; do case $word in --cidfile=*) printf {ID} > "${{word#--cidfile=}}";; esac; done; {PROGRAM}; exit 0', "podman")
        outcome = harness.run(["podman", "run", "image"], self.folder, env=self.environment)
        self.expect_crash(outcome)
        self.assertEqual(outcome.report()["soft_errors"], [], outcome)

    def test_a_client_that_says_nothing(self):
        self.stand_in("exit 0")
        outcome = harness.run(["docker", "run", "image"], self.folder, env=self.environment)
        self.assertEqual(outcome.status, 0, outcome)
        self.assertRegex(" ".join(outcome.report()["soft_errors"]), "its id has not been written")

    def test_a_client_that_has_no_container_made(self):
        for status in (125, 126, 127):
            with self.subTest(status):
                self.stand_in(f"exit {status}")
                outcome = harness.run(["docker", "run", "image"], self.folder, env=self.environment)
                self.assertEqual((outcome.status, outcome.report()["soft_errors"]), (status, []), outcome)

    def test_the_container_is_watched_before_anybody_knows_that_it_is_ours(self):
        container, other = self.mount / f"docker-{ID}.scope", self.mount / f"docker-{ID[::-1]}.scope"
        self.addCleanup(lambda: [harness.wait_until(lambda one=one: not one.exists() or self.remove(one), "it is empty")
                                 for one in (container, other)])
        fifos = [self.folder / name for name in ("begin", "done")]
        for fifo in fifos:
            os.mkfifo(fifo)
        self.stand_in(f'echo > {fifos[0]}; read line < {fifos[1]}; '
                      f'for word; do case $word in --cidfile=*) printf {ID} > "${{word#--cidfile=}}";; esac; done')
        engine = subprocess.Popen(["sh", "-c", f"read line < {fifos[0]}; for scope in {container} {other}; do mkdir $scope; "
                                   f"sh -c 'echo $$ > $0/cgroup.procs; exec {PROGRAM}' $scope; done; echo > {fifos[1]}"],
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(engine.wait)
        self.addCleanup(engine.kill)
        outcome = harness.run(["docker", "run", "image"], self.folder, env=self.environment, timeout=harness.DEADLINE)
        self.assertEqual(self.expect_crash(outcome)["process"]["cgroup"], "/" + container.name)
        self.assertEqual(outcome.report()["soft_errors"], [])

    # --- who dies with its pid namespace ---

    def test_the_end_of_a_pid_namespace_is_no_crash(self):
        outcome = harness.run(["unshare", "--pid", "--fork", "sh", "-c", "sleep 1000 & exit 3"], self.folder)
        self.assertEqual((outcome.status, outcome.report()["crashes"]), (3, []), outcome)


class AsOrdinaryUser(WithCgroup):
    """Who is not root, may use sudo and no engine, may look at what is his own."""

    def setUp(self):
        super().setUp()
        self.wrapper = ordinary_user.installed_copy(self.folder)
        self.program = shutil.copy(PROGRAM, self.wrapper.parent)
        self.user = ordinary_user.OrdinaryUser()
        self.cgroup = self.make_cgroup("attach-user")

    def live_in(self, cgroup, *words, before=()):
        """A process in the cgroup, which becomes somebody by `before` and starts `words` when it is let."""
        script = 'echo $$ > "$0/cgroup.procs"; exec "$@"'
        wait = ["sh", "-c", 'echo lives; read go; "$@"', "sh", *map(str, words)]
        process = subprocess.Popen(["sh", "-ec", script, cgroup, *before, *wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        if process.stdout.readline() != b"lives\n":
            self.skipTest(f"this user may not do that: {before}")
        return process

    def watch_as_user(self, *options):
        return harness.start_watching(self, self.folder, *options, program=[*self.user.prefix, str(self.wrapper)],
                                      env=self.user.environment)

    def functions(self, crash):
        return [frame.get("function") for frame in harness.flatten(harness.crashed_thread(crash))][:3]

    def test_what_is_his_own(self):
        """As himself, and as root of a user namespace that he has made, which a rootless container is."""
        for before in ((), ("unshare", "--user", "--map-root-user")):
            with self.subTest(before):
                process = self.live_in(self.cgroup, self.program, before=[*ordinary_user.BECOME, *before])
                wrapper = self.watch_as_user(f"--attach-cgroup={self.cgroup}")
                self.let(process)
                outcome = self.end_of(wrapper)
                crash, = outcome.report()["crashes"]
                self.assertEqual(self.functions(crash), ["write_through_null", "save_score", "finish_game"])
                self.assertEqual((crash["soft_errors"], outcome.report()["soft_errors"]), ([], []), outcome)
                self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS)
                shutil.rmtree(outcome.output_dir)

    def test_what_is_his_own_beside_a_command(self):
        process = self.live_in(self.cgroup, self.program, before=ordinary_user.BECOME)
        script = "echo words of its own; read line; exit 3"
        command = [*self.user.prefix, self.wrapper, "--output-dir", self.folder / "out", f"--attach-cgroup={self.cgroup}", "--", "sh", "-c", script]
        run = subprocess.Popen(list(map(str, command)), cwd=self.folder, env=self.user.environment, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(run.stdout.readline(), "words of its own\n")
        self.let(process)
        _, stderr = run.communicate("\n", timeout=harness.DEADLINE)
        outcome = harness.Outcome(subprocess.CompletedProcess([], run.returncode, "", stderr), self.folder / "out")
        harness.validate(outcome.report())
        crash, = outcome.report()["crashes"]
        self.assertEqual((self.functions(crash)[0], outcome.status), ("write_through_null", 3), outcome)

    def test_of_what_others_bring_there_he_sees_no_memory(self):
        own = self.live_in(self.cgroup, "true", before=ordinary_user.BECOME)
        wrapper = self.watch_as_user(f"--attach-cgroup={self.cgroup}", "--record", str(self.folder / "recording"))
        secret = self.folder / "secret"
        secret.write_text("a secret of root")
        self.let(self.live_in(self.cgroup, "sh", "-c", f"exec {self.program} \"$(cat {secret})\""))
        self.let(own)
        outcome = self.end_of(wrapper)
        crash, = outcome.report()["crashes"]
        self.assertRegex(" ".join(crash["soft_errors"]), "withheld: the process ran with other credentials")
        self.assertNotIn("command_args", crash["process"])
        self.assertEqual(harness.crashed_thread(crash)["frame_count"], 1)
        self.assertFalse(b"a secret of root" in (self.folder / "recording").read_bytes())

    def test_what_is_of_others(self):
        self.live_in(self.cgroup, "true", before=ordinary_user.BECOME)
        self.live_in(self.cgroup, "true")
        said = f"does not belong to the user who asks (uid {ordinary_user.uid()})"
        command = ("--", "sh", "-c", "echo words of its own; exit 3")
        words = (self.wrapper, "--output-dir", self.folder / "out", f"--attach-cgroup={self.cgroup}")
        for more in ((), command):
            process = self.user.run(*words, *more, cwd=self.folder)
            self.assertEqual((process.returncode, process.stdout), (harness.HARNESS_FAILED, ""), process.stderr)
            self.assertIn(said, process.stderr)
            self.assertIn("ask as root (sudo)", process.stderr)
        process = self.user.run(*words, "--best-effort", *command, cwd=self.folder)
        self.assertEqual((process.returncode, process.stdout), (3, "words of its own\n"), process.stderr)
        self.assertIn(said, process.stderr)
        process = self.user.run("sudo", "-n", *words, *command, cwd=self.folder)
        self.assertEqual((process.returncode, process.stdout, process.stderr), (3, "words of its own\n", ""))

    def test_without_sudo(self):
        self.live_in(self.cgroup, "true", before=ordinary_user.BECOME)
        user = ordinary_user.OrdinaryUser(rules=())
        words = (self.wrapper, "--output-dir", self.folder / "out", f"--attach-cgroup={self.cgroup}")
        for more in ((), ("--", "echo", "words of its own")):
            process = user.run(*words, *more, cwd=self.folder)
            self.assertEqual((process.returncode, process.stdout), (harness.HARNESS_FAILED, ""), process.stderr)
            self.assertIn("sudo: a password is required", process.stderr)


if __name__ == "__main__":
    harness.main()
