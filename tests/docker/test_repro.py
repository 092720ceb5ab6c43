"""`crashcrawler repro ID --docker`: the same crash comes back in a container, and no container stays.

    test_repro.py RACE PORTABLE_CRASH
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

RACE, PORTABLE_CRASH = map(pathlib.Path, sys.argv[1:])
CRASHCRAWLER = os.environ["CRASHCRAWLER_TEST_CRASHCRAWLER"]
CAME_BACK, DID_NOT, NOT_TRIED = 0, 1, 2
# What is done by default fails in 1 of 20 cases. After that enough for a race that comes once in 60 attempts.
TRIES = [(), *[("--repeat", "300")] * 4]


class InContainer(unittest.TestCase):
    def setUp(self):
        self.engine = docker.connect()
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.addCleanup(self.assert_no_container)

    def assert_no_container(self):
        names = self.engine.docker("ps", "--all", "--format", "{{.Names}}", "--filter", "name=crashcrawler-repro").stdout
        self.assertEqual(names, "")

    def start(self, *options, program=(CRASHCRAWLER,), environment=None):
        return subprocess.Popen([*program, "repro", "1", "--output-dir", self.folder / "out", *options], text=True,
                                env=environment or self.engine.environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def repro(self, *options, **of_start):
        process = self.start(*options, **of_start)
        said, complaints = process.communicate()
        return process.returncode, said, complaints

    def new_report(self, crash):
        return json.loads((self.folder / "out" / "repro" / crash["id"] / "report.json").read_text())


class Repro(InContainer):
    def test_a_race_that_chaos_has_found_comes_back(self):
        program = shutil.copy(RACE, self.folder)
        outcome = harness.run([program], self.folder, "--until-crash", "--chaos", "--for", "240s")
        if not outcome.report()["crashes"]:
            self.skipTest("the race did not come in 240 s")
        crash, = outcome.report()["crashes"]
        for options in TRIES:
            status, said, complaints = self.repro("--docker", docker.IMAGE, *options)
            print(said)
            if status == CAME_BACK:
                break
            self.assertIn("no crash came", said, complaints)
        self.assertEqual(status, CAME_BACK, said + complaints)
        self.assertIn(f"in a container of the image {docker.IMAGE}", said)
        self.assertRegex(said, rf"the same crash \(fingerprint {crash['signature']['hash'][:8]}\) came back in \d+ of \d+ attempt")
        report = self.new_report(crash)
        harness.validate(report)
        self.assertEqual(report["crashes"][0]["signature"]["hash"], crash["signature"]["hash"])
        self.assertEqual(report["crashes"][0]["chaos"]["seed"], crash["chaos"]["seed"])
        self.assertGreater(report["crashes"][0]["process"]["pid_namespace_depth"],
                           crash["process"].get("pid_namespace_depth", 0))
        if os.geteuid() == 0 and harness.missing_for_capture() is None:
            self.assertEqual(report["collector"]["backend"], "bpf", said + complaints)

    def test_the_image_of_a_run_in_a_container_is_known(self):
        shutil.copy(PORTABLE_CRASH, self.folder)
        self.engine.run("--collector=ptrace", "--output-dir", "out", "--", f"./{PORTABLE_CRASH.name}",
                        options=["-v", f"{self.folder}:{self.folder}", "-w", self.folder,
                                 "-e", f"CRASHCRAWLER_IMAGE={docker.IMAGE}"])
        subprocess.run([*harness.privilege(), "chmod", "-R", "a+rwX", self.folder], check=True)
        report = json.loads((self.folder / "out" / "report.json").read_text())
        harness.validate(report)
        self.assertEqual(report["system_info"]["container_image"], docker.IMAGE)
        status, said, complaints = self.repro("--docker")
        self.assertEqual(status, CAME_BACK, said + complaints)
        self.assertIn(f"in a container of the image {docker.IMAGE}", said)
        self.assertIn("came back in 1 of 1 attempt", said)

    def test_folders_are_there_and_the_rest_is_not(self):
        work, data, elsewhere = (self.folder / name for name in ("work", "data, more", "elsewhere"))
        for folder in (work, data, elsewhere):
            folder.mkdir()
        (data / "file").touch()
        script = ('echo "$LANG" > written; if [ -e "$2" ]; then ls "$2" >> written; fi; '
                  'touch "${1%/*}/new" 2> /dev/null || echo read-only >> written; kill -SEGV $$')
        outcome = harness.run(["sh", "-c", script, "sh", data / "file", f"x{elsewhere}"], self.folder, cwd=work,
                              env={**os.environ, "LANG": "of the run"})
        self.assertEqual(len(outcome.report()["crashes"]), 1)
        (data / "new").unlink()
        status, said, complaints = self.repro("--docker", docker.IMAGE, "--force")  # the image has a sh of its own
        self.assertIn(status, (CAME_BACK, DID_NOT), said + complaints)
        self.assertEqual((work / "written").read_text(), "of the run\nread-only\n")

    def test_folders_that_the_engine_does_not_see(self):
        if harness.privilege() != []:
            self.skipTest("needs root to mount what others do not see")
        hidden = self.folder / "hidden"
        hidden.mkdir()
        script = (f"mount -t tmpfs none {hidden}; mkdir {hidden}/work; cd {hidden}/work; cp {PORTABLE_CRASH} crash; "
                  f'{os.environ["CRASHCRAWLER_TEST_RUN"]} -- ./crash 2> /dev/null || true; exec {CRASHCRAWLER} repro 1 --docker={docker.IMAGE}')
        done = subprocess.run(["unshare", "--mount", "sh", "-ec", script], env=self.engine.environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, NOT_TRIED, done)
        self.assertRegex(done.stderr.splitlines()[-1], f"started no container.* must see {hidden}/work")

    def test_wrong_images(self):
        shutil.copy(PORTABLE_CRASH, self.folder)
        harness.run([f"./{PORTABLE_CRASH.name}"], self.folder)
        for image, words in (
                (docker.BASE, "has no crashcrawler-run"),
                ("crashcrawler-test-no-such-image", "runs no container of the image"),
                ("-v/:/x", "no name of an image")):
            status, said, complaints = self.repro(f"--docker={image}")
            self.assertEqual(status, NOT_TRIED, said + complaints)
            self.assertIn(words, complaints)
        if self.engine.docker("image", "inspect", "crashcrawler", check=False).returncode != 0:
            status, said, complaints = self.repro("--docker")
            self.assertEqual(status, NOT_TRIED)
            self.assertIn("name one with --docker IMAGE", complaints)

    def test_an_interrupt_ends_the_container(self):
        script = "echo run >> runs; if [ -e again ]; then exec sleep 1000; fi; kill -SEGV $$"
        harness.run(["sh", "-c", script], self.folder)
        (self.folder / "again").touch()
        process = self.start(f"--docker={docker.IMAGE}", "--force")
        self.addCleanup(process.kill)
        try:
            harness.wait_until(lambda: (self.folder / "runs").read_text().count("run") == 2, "the command runs again")
        finally:
            process.send_signal(signal.SIGTERM)
        said, complaints = process.communicate(timeout=harness.DEADLINE)
        self.assertEqual(process.returncode, NOT_TRIED, said + complaints)
        self.assert_no_container()


class AsOrdinaryUser(InContainer):
    def setUp(self):
        super().setUp()
        self.wrapper = ordinary_user.installed_copy(self.folder)
        self.crashcrawler = shutil.copy(CRASHCRAWLER, self.wrapper.parent)
        shutil.copy(PORTABLE_CRASH, self.folder / "crash")
        self.socket = ordinary_user.socket_of(self.engine)

    def again(self, user, *options):
        return self.repro(*options, program=(*user.prefix, self.crashcrawler), environment=user.environment)

    def crash_of(self, user, *options):
        """A shell that leaves a file behind crashes in the end; the folder to be left as it was before."""
        command = ("sh", "-c", "id -u >> written; exec ./crash")
        user.run(self.wrapper, "--output-dir", self.folder / "out", *options, "--", *command, cwd=self.folder)
        crash, = json.loads((self.folder / "out" / "report.json").read_text())["crashes"]
        return crash

    def test_as_himself(self):
        for collector, user in (("bpf", ordinary_user.OrdinaryUser(socket=self.socket)),
                                ("ptrace", ordinary_user.OrdinaryUser(rules=(), socket=self.socket))):
            with self.subTest(collector):
                shutil.rmtree(self.folder / "out", ignore_errors=True)
                (self.folder / "written").unlink(missing_ok=True)
                crash = self.crash_of(user, f"--collector={collector}")
                status, said, complaints = self.again(user, "--docker", docker.IMAGE)
                self.assertEqual(status, CAME_BACK, said + complaints)
                self.assertIn(f"in a container of the image {docker.IMAGE}", said)
                self.assertIn("captured by ptrace(2)", said)
                self.assertIn("came back in 1 of 1 attempt", said)
                report = self.new_report(crash)
                harness.validate(report)
                self.assertEqual(report["crashes"][0]["signature"]["hash"], crash["signature"]["hash"])
                self.assertEqual(report["crashes"][0]["process"]["uid"], ordinary_user.uid())
                self.assertEqual((self.folder / "written").read_text(), f"{ordinary_user.uid()}\n" * 2)
                others = [path for path in (self.folder / "out").rglob("*") if path.lstat().st_uid != ordinary_user.uid()]
                self.assertEqual(others, [])

    def test_with_chaos(self):
        user = ordinary_user.OrdinaryUser(socket=self.socket)
        crash = self.crash_of(user, "--until-crash", "--chaos")
        status, said, complaints = self.again(user, "--docker", docker.IMAGE)
        self.assertEqual(status, CAME_BACK, said + complaints)
        self.assertEqual(self.new_report(crash)["crashes"][0]["chaos"]["seed"], crash["chaos"]["seed"])

    def test_an_engine_that_he_may_not_reach(self):
        user = ordinary_user.OrdinaryUser(socket=self.socket, may_use_engine=False)
        self.crash_of(user)
        status, said, complaints = self.again(user, "--docker", docker.IMAGE)
        self.assertEqual((status, said), (NOT_TRIED, ""), complaints)
        self.assertRegex(complaints, "^crashcrawler: docker reaches no engine: .*permission denied.*docker.sock")
        self.assertEqual(len(complaints.splitlines()), 1, complaints)
        self.assertEqual((self.folder / "written").read_text(), f"{ordinary_user.uid()}\n")

    def test_an_engine_that_is_down(self):
        user = ordinary_user.OrdinaryUser(rules=())
        user.environment["DOCKER_HOST"] = f"unix://{self.folder}/nobody.sock"
        self.crash_of(user)
        status, said, complaints = self.again(user, "--docker", docker.IMAGE)
        self.assertEqual((status, said), (NOT_TRIED, ""), complaints)
        self.assertRegex(complaints, f"^crashcrawler: docker reaches no engine: .*{self.folder}/nobody.sock")


harness.main()
