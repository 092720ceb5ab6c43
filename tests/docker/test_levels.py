"""The fixtures in containers of each level of privilege, checked by their expected.json, their reports compared with the host's.

    test_levels.py host PROGRAMS     their reports on the host, once for all levels
    test_levels.py LEVEL PROGRAMS    in a container of that level, see LEVELS

PROGRAMS has lines "behaviour flavour program". A container has the sources and programs of the fixtures at their paths; the rest
is the image's own, so libraries and packages are those of the container. What is different there by design stands in the tables
below, with the reason. Most of that is still compared with what is expected instead, so that the table fails when it is no longer true.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import docker
import harness

LEVEL, PROGRAMS = sys.argv[1], pathlib.Path(sys.argv[2])
HOST = docker.STATE / "levels"  # HOST/<collector>/<behaviour>.json
FIXTURES = harness.SOURCE / "fixtures"
COPIED = (FIXTURES, harness.SOURCE / "tests", harness.SOURCE / "docs", harness.BUILD / "fixtures")
INSTALLED = {"CRASHCRAWLER_TEST_RUN": "/usr/local/bin/crashcrawler-run",
             "CRASHCRAWLER_TEST_PROBE": "/usr/local/libexec/crashcrawler/crashcrawler-probe"}
# --- what is different by design --------------------------------------------------------------------------------------

NO_UNSHARE = "Docker's filter allows unshare(2) and clone(2) of namespaces to CAP_SYS_ADMIN alone"
NO_CGROUP = "the container's cgroup file system is read-only"
NOT_POSSIBLE = {name: NO_UNSHARE for name in ("bubblewrap", "namespaces", "overlay_root", "pid_namespace", "private_mount",
                                              "relayed_by_unshare")}
NOT_POSSIBLE["other_cgroup"] = "Docker's filter answers clone3(2) with ENOSYS, which needs CAP_SYS_ADMIN there"
NOT_POSSIBLE_WITHOUT_CGROUP = {**NOT_POSSIBLE, "other_cgroup": NO_CGROUP, "own_sub_cgroup": NO_CGROUP}

# clone3(2) is answered with ENOSYS by Docker's filter, so the C library takes clone(2): the outermost frame of a thread.
CLONE = {name: ("clone3", "clone") for name in ("leader_gone", "many_threads", "worker_thread")}

# Where in its recursion the stack is full depends on the size of the environment: only its signature is the same.
RECURSION = ("stack_overflow",)

# ThreadSanitizer has a thread of its own, which has ended by then or not.
THREAD_OF_RUNTIME = ("tsan_race",)

@dataclasses.dataclass
class Level:
    options: list
    collector: str
    cgroup: bool
    not_possible: dict = dataclasses.field(default_factory=dict)
    all_differ: dict = dataclasses.field(default_factory=dict)  # fields of expected.json, of every fixture
    frames: dict = dataclasses.field(default_factory=dict)  # {behaviour: (function on the host, function here)}


CAPABILITIES = ["--cap-add", "BPF", "--cap-add", "PERFMON"]
LEVELS = {
    "privileged": Level(["--privileged"], "bpf", True),
    "capabilities": Level([*CAPABILITIES, "--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"], "bpf", True,
                          NOT_POSSIBLE, frames=CLONE),
    "no_cgroup": Level(CAPABILITIES, "bpf", False, NOT_POSSIBLE_WITHOUT_CGROUP, frames=CLONE,
                       all_differ={"degraded": ["followed from fork to fork"]}),
    "plain": Level([], "ptrace", False, NOT_POSSIBLE_WITHOUT_CGROUP, frames=CLONE),
}


# --- running ----------------------------------------------------------------------------------------------------------


def programs():
    lines = (line.split() for line in PROGRAMS.read_text().splitlines())
    return {behaviour: [flavour, program] for behaviour, flavour, program in lines}


def write_plan(folder, chosen, all_differ):
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / "plan"
    plan.write_text(json.dumps({"programs": {name: programs()[name] for name in chosen}, "differences": all_differ}))
    return [pathlib.Path(__file__).with_name("run_fixtures.py"), plan, folder]


def results(folder):
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def has_section(behaviour, section):
    return section in json.loads((FIXTURES / behaviour / "expected.json").read_text())


def differs_by_collector(behaviour):
    return has_section(behaviour, "ptrace")


def differs_by_capability(behaviour):
    return has_section(behaviour, "ptrace_without_capability")


class OnTheHost(unittest.TestCase):
    def run_all(self, collector, chosen):
        folder = HOST / collector
        arguments = write_plan(folder, chosen, {})
        environment = {**os.environ, "CRASHCRAWLER_TEST_COLLECTOR": collector}
        subprocess.run([sys.executable, *arguments], env=environment, check=True)
        for behaviour in chosen:
            result = json.loads((folder / f"{behaviour}.json").read_text())
            self.assertNotEqual(result["outcome"], "failed", f"{behaviour}: {result['said']}")

    def test_reports_of_the_host(self):
        docker.connect()
        shutil.rmtree(HOST, ignore_errors=True)
        self.run_all("bpf", programs())
        # what ptrace(2) sees less of: those are compared with ptrace(2) on the host
        self.run_all("ptrace", [behaviour for behaviour in programs() if differs_by_collector(behaviour)])


# --- comparing --------------------------------------------------------------------------------------------------------


def same_files(host, here):
    """The paths of modules that are the same file in both, by their package: {path: bool}."""
    same = {}
    for module in host["modules"]:
        package = module.get("package")
        same[module["filename"]] = not package or package["version"] == here.get(f"{package['name']}:{package.get('architecture')}")
    return same


def plain_package(module):
    package = module.get("package")
    return {key: package.get(key) for key in ("type", "name", "version", "architecture")} if package else None


def comparable(crash, same, behaviour, last=None):
    """What has to be equal, of the files that are. `last`: (function, its other name) of the outermost frame."""
    info = crash["crash_info"]
    modules = {module["filename"]: module for module in crash["modules"]}
    frames = []
    for frame in harness.crashed_thread(crash)["frames"]:
        module, function = frame.get("module"), frame.get("function")
        offset = frame.get("module_offset") if same.get(module, True) else None
        frames.append([function, module, offset])
    if behaviour in RECURSION:
        frames = []
    elif last and frames[-1][0] == last[0]:
        frames[-1] = [last[1], frames[-1][1], None]
    return {
        "kind": info["kind"],
        "signal": {name: info.get("signal", {}).get(name) for name in ("name", "code", "code_name")},
        "first signal": info.get("first_signal", {}).get("name"),
        "exit": info.get("exit"),
        "verdict": [info["expected"], crash.get("classification")],
        "threads": None if behaviour in THREAD_OF_RUNTIME else len(crash["threads"]),
        "frames": frames,
        "signature": crash["signature"],
        "build-ids": {name: module.get("build_id") if same.get(name, True) else None for name, module in modules.items()},
        "packages": {name: plain_package(module) for name, module in modules.items() if same.get(name, True)},
    }


def without_folder(report):
    """The folder of each run has another name."""
    return json.loads(json.dumps(report).replace(report["run"]["working_directory"], "FOLDER"))


class InAContainer(unittest.TestCase):
    maxDiff = None
    options = []
    behaviours = tuple(programs())
    packages = {"libc6:amd64", "libstdc++6:amd64", "libasan8:amd64"}  # some of them must have been found

    @classmethod
    def setUpClass(cls):
        cls.engine = docker.connect()
        if not cls.engine.has(docker.IMAGE_WITH_TOOLS):
            harness.skip("there is no image with the tools that fixtures need; the test docker.tools says why")
        cls.level = LEVELS[LEVEL]
        cls.folder = cls.enterClassContext(docker.SharedFolder())
        cls.host = {**results(HOST / "bpf"), **(results(HOST / "ptrace") if cls.level.collector == "ptrace" else {})}
        cls.here = cls.run_there(cls.folder / "results")

    @classmethod
    def run_there(cls, folder):
        """All fixtures in one container; its name is known, so that it can be ended with us."""
        arguments = write_plan(folder, cls.behaviours, cls.level.all_differ)
        folder.chmod(0o777)
        name = f"crashcrawler-test-{os.getpid()}-{cls.__name__}"
        environment = {**INSTALLED, "CRASHCRAWLER_TEST_COLLECTOR": cls.level.collector, "PYTHONDONTWRITEBYTECODE": "1",
                       "CRASHCRAWLER_TEST_SOURCE": harness.SOURCE, "CRASHCRAWLER_TEST_BUILD": harness.BUILD}
        variables = [word for pair in environment.items() for word in ("-e", "{}={}".format(*pair))]
        cls.addClassCleanup(cls.engine.docker, "rm", "--force", name, check=False)
        cls.engine.docker("create", "--network", "none", *cls.level.options, *cls.options, "--name", name, *variables,
                          "-v", f"{folder}:{folder}", "--entrypoint", "/usr/bin/python3", docker.IMAGE_WITH_TOOLS, *arguments)
        cls.engine.copy_into(name, *COPIED)
        done = cls.engine.docker("start", "--attach", name, check=False)
        if done.returncode != 0:
            raise AssertionError(f"run_fixtures.py ended with {done.returncode}: {done.stdout}{done.stderr}")
        return results(folder)

    def known_differences(self):
        named = set(self.level.frames) | {*RECURSION, *THREAD_OF_RUNTIME}
        by_collector = {name for name in self.behaviours
                        if self.level.collector == "ptrace" and (differs_by_collector(name) or differs_by_capability(name))}
        return sorted(name for name in named | by_collector if self.here.get(name, {}).get("outcome") == "passed")

    def test_every_fixture(self):
        """It is what its expected.json says, or cannot be here, and that is known."""
        counted = {"passed": [], "skipped": [], "failed": []}
        for behaviour in self.behaviours:
            result = self.here[behaviour]
            counted[result["outcome"]].append(behaviour)
            with self.subTest(behaviour):
                self.assertNotEqual(result["outcome"], "failed", result["said"])
                if result["outcome"] == "skipped":
                    on_the_host = self.host[behaviour]["outcome"] == "skipped"
                    self.assertTrue(on_the_host or behaviour in self.level.not_possible, result["said"])
                    reason = result["said"] if on_the_host else self.level.not_possible[behaviour]
                    print(f"not run here: {behaviour}: {reason}")
        report = self.here["null_write"]["report"]
        has_cgroup = "/crashcrawler-" in report["crashes"][0]["process"].get("cgroup", "")
        who = " as an ordinary user" if self.options else ""
        print(f"{LEVEL}{who}: {len(counted['passed'])} fixtures passed, {len(counted['skipped'])} not possible here; "
              f"known differences: {', '.join(self.known_differences()) or 'none'}; "
              f"collector.backend {report['collector']['backend']}, {'a' if has_cgroup else 'no'} cgroup")
        self.assertEqual(has_cgroup, self.level.cgroup)

    def test_reports_are_those_of_the_host(self):
        installed = self.here["packages"]
        for behaviour in self.behaviours:
            ours, theirs = self.here[behaviour], self.host[behaviour]
            if "skipped" in (ours["outcome"], theirs["outcome"]) or (
                    self.level.collector == "ptrace" and differs_by_capability(behaviour)):
                continue
            with self.subTest(behaviour):
                here, host = without_folder(ours["report"]), without_folder(theirs["report"])
                self.assertEqual(here["counts"], host["counts"])
                self.assertEqual(here["run"]["exit"], host["run"]["exit"])
                # of two that crash at the same time either may be the first
                place = lambda crash: (crash["process"]["name"], crash["signature"]["hash"])
                for one, other in zip(sorted(here["crashes"], key=place), sorted(host["crashes"], key=place)):
                    same, last = same_files(other, installed), self.level.frames.get(behaviour)
                    self.assertEqual(comparable(one, same, behaviour, last and (last[1], last[1])),
                                     comparable(other, same, behaviour, last))

    def test_versions_are_those_that_the_container_has_installed(self):
        installed, found = self.here["packages"], set()
        for behaviour in self.behaviours:
            for crash in (self.here[behaviour].get("report") or {}).get("crashes", []):
                for module in crash["modules"]:
                    package = module.get("package")
                    if package and package["type"] == "deb":
                        name = f"{package['name']}:{package['architecture']}"
                        self.assertEqual(package["version"], installed.get(name), f"{behaviour}: {module['filename']}")
                        found.add(name)
        self.assertLessEqual(self.packages, found)


class AsAnOrdinaryUser(InAContainer):
    """The same for a few."""

    options = ["--user", "1000"]
    behaviours = ("null_write", "worker_thread", "forked_child", "daemon_grandchild", "uncaught_exception", "handler_exits", "exit_3")
    packages = {"libc6:amd64", "libstdc++6:amd64"}


class OfTheImage(unittest.TestCase):
    def test_our_own_programs_are_not_taken_for_a_sanitizer(self):
        """They are static, and know the words that LeakSanitizer says under ptrace(2)."""
        done = docker.connect().run("--collector=ptrace", "--", "crashcrawler", "show", "/nonexistent")
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("LeakSanitizer", done.stderr)


def load_tests(loader, *_):
    classes = {"host": [OnTheHost], "plain": [InAContainer, AsAnOrdinaryUser, OfTheImage]}.get(LEVEL, [InAContainer])
    return unittest.TestSuite(map(loader.loadTestsFromTestCase, classes))


if __name__ == "__main__":
    harness.main()
