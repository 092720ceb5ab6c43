"""Commands that attack the harness: none hangs it, brings it down or costs it another crash, and the report says what
is missing.

    test_attacks.py FOLDER NULL_WRITE

FOLDER holds the programs of attacks/, NULL_WRITE is the fixture of that name: the ordinary crash of each run, which is
to be reported whole.
"""

import collections
import contextlib
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

PROGRAMS = pathlib.Path(sys.argv[1])
ORDINARY = sys.argv[2]
ORDINARY_FRAMES = ["write_through_null", "save_score", "finish_game", "main"]
ATTACK_FRAMES = ["write_through_null", "break_things", "attack"]
# shell; MOUNT: where cgroup2 is mounted. Only the cgroup of the run is ours to change: outside of one, it would be the machine's.
OWN_CGROUP = """cg=$MOUNT$(sed -n "s/^0:://p" /proc/self/cgroup)
                case $cg in */crashcrawler-*) ;; *) echo "not in the cgroup of a run: $cg" >&2; exit 99 ;; esac"""
# shell; a process name has 15 characters
FIND_PROBE = """for pid in $(cat /proc/$wrapper/task/*/children); do
                    [ "$(cat /proc/$pid/comm)" != crashcrawler-pr ] || probe=$pid
                done"""
needs_root = unittest.skipIf(os.geteuid() != 0, "only root can do that to cgroups, to the helper and to its own root")


def attack(name):
    return str(PROGRAMS / f"attack_{name}")


def remove_if_there(cgroup):
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(cgroup)


class Attack(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(harness.TemporaryFolder())
        self.before = harness.kernel_lists()
        self.environment = {**os.environ, "MOUNT": str(harness.cgroup2_mounts()[0]), "ORDINARY": ORDINARY}

    def shell(self, script, *options):
        """Runs a script under the wrapper. $wrapper is its pid, $ORDINARY crashes as usual, $MOUNT is cgroup2."""
        return self.run_attack(["bash", "-c", "wrapper=$PPID; " + script], *options)

    def run_attack(self, command, *options, **arguments):
        arguments = {"env": self.environment, "timeout": harness.DEADLINE, "errors": "surrogateescape", **arguments}
        return harness.run(command, self.folder, *options, **arguments)

    def start(self, script):
        """The same in the background, to be talked to; returns the wrapper."""
        command = harness.wrapped(["bash", "-c", "wrapper=$PPID; " + script], self.folder / "out")
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def finish(self, process):
        stdout, stderr = process.communicate(timeout=harness.DEADLINE)
        return harness.Outcome(subprocess.CompletedProcess([], process.returncode, stdout, stderr), self.folder / "out")

    def report(self, outcome, complete=True):
        report = outcome.report()
        harness.validate(report)
        xml.etree.ElementTree.parse(outcome.output_dir / "junit.xml")
        self.assertEqual(report["collector"]["health"]["complete"], complete, outcome)
        return report

    def crashes_of(self, report, name):
        return [crash for crash in report["crashes"] if pathlib.Path(crash["process"]["executable"]["path"]).name
                == name]

    def frames(self, crash):
        return [frame.get("function", "") for frame in harness.flatten(harness.crashed_thread(crash))]

    def assert_in_order(self, expected, functions):
        remaining = iter(functions)
        for name in expected:
            self.assertTrue(name in remaining, f"{name} is missing or out of order in {functions}")

    def assert_whole(self, crash, frames):
        by_design = re.compile("there is no core: |thread .*: the stack was not captured from")
        problems = [problem for problem in crash["soft_errors"] if not by_design.match(problem)]
        self.assertEqual((crash["status"], problems), ("OK", []))
        self.assert_in_order(frames, self.frames(crash))

    def assert_ordinary(self, report, count=1):
        """Crashes of $ORDINARY, all of them whole, and nothing lost."""
        crashes = self.crashes_of(report, pathlib.Path(ORDINARY).name)
        self.assertEqual(len(crashes), count)
        for crash in crashes:
            self.assert_whole(crash, ORDINARY_FRAMES)
        self.assertEqual(report["counts"]["lost"], 0)

    def assert_one_attack(self, report, name):
        crashes = self.crashes_of(report, f"attack_{name}")
        self.assertEqual(len(crashes), 1, report["crashes"])
        return crashes[0]


@needs_root
class Cgroup(Attack):
    """Root may write to the files of its own cgroup."""

    def tearDown(self):
        harness.assert_nothing_left(self.before)

    def test_moves_itself_to_the_root_cgroup(self):
        outcome = self.shell('echo $$ > $MOUNT/cgroup.procs; $ORDINARY; (setsid $ORDINARY); exit 0')
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
        report = self.report(outcome)
        self.assert_ordinary(report, 2)
        for crash in report["crashes"]:
            self.assertNotIn("crashcrawler-", crash["process"]["cgroup"])

    def test_kills_its_cgroup(self):
        outcome = self.shell(f"""{OWN_CGROUP}
            $ORDINARY; echo 1 > $cg/cgroup.kill; sleep 1000""")
        self.assertEqual(outcome.status, 128 + signal.SIGKILL, outcome)
        self.assert_ordinary(self.report(outcome))

    def test_changes_what_can_be_changed(self):
        # Sub-cgroups, a threaded one among them, with controllers, and limits that forbid any more.
        script = f"""{OWN_CGROUP}
            mkdir $cg/domain $cg/threaded
            (echo $BASHPID > $cg/domain/cgroup.procs; $ORDINARY)
            echo threaded > $cg/threaded/cgroup.type
            echo 0 > $cg/cgroup.max.descendants; echo 0 > $cg/cgroup.max.depth
            for controller in $(cat $cg/cgroup.controllers); do echo +$controller > $cg/cgroup.subtree_control; done
            (echo $BASHPID > $cg/threaded/cgroup.threads; $ORDINARY)
            $ORDINARY; exit 0"""
        outcome = self.shell(script)
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
        report = self.report(outcome)
        self.assert_ordinary(report, 3)
        places = [pathlib.Path(crash["process"]["cgroup"]).name for crash in report["crashes"]]
        self.assertEqual(places[:2], ["domain", "threaded"])

    def test_makes_its_cgroup_threaded(self):
        """cgroup.procs of such a cgroup cannot be read (cgroup-v2.rst, "Threads"), and a process outlives the command.
        A cgroup can be changed to that while it is empty only."""
        outcome = self.shell(f"""{OWN_CGROUP}; echo $cg; echo $$ > $MOUNT/cgroup.procs
            echo threaded > $cg/cgroup.type; echo $$ > $cg/cgroup.procs; cat $cg/cgroup.type; $ORDINARY
            sleep 1000 > /dev/null 2>&1 < /dev/null & echo $!; exit 0""", "--linger=0s")
        cgroup, kind, leftover = outcome.stdout.split()
        self.addCleanup(remove_if_there, cgroup)
        self.addCleanup(harness.wait_until, lambda: harness.proc_status(leftover) is None, "the leftover has ended")
        self.addCleanup(harness.end_process, int(leftover))
        self.assertEqual((outcome.status, kind), (harness.CRASH_BEHIND_SUCCESS, "threaded"), outcome)
        report = self.report(outcome)
        self.assert_ordinary(report)
        self.assertEqual([process["pid"] for process in report["run"]["leftover_processes"]], [int(leftover)])
        self.assertNotIn("crashcrawler-", pathlib.Path(f"/proc/{leftover}/cgroup").read_text())

    def freeze(self):
        process = self.start(f"{OWN_CGROUP}; $ORDINARY; trap : INT; echo $cg $$; echo 1 > $cg/cgroup.freeze; "
                             "echo thawed")
        cgroup, pid = process.stdout.readline().split()
        events = pathlib.Path(cgroup, "cgroup.events")
        self.addCleanup(harness.end_process, int(pid))
        harness.wait_until(lambda: "frozen 1" in events.read_text(), "the command has frozen itself")
        return process

    def test_frozen_and_interrupted(self):
        process = self.freeze()
        process.send_signal(signal.SIGINT)
        pending = 1 << (signal.SIGINT - 1)  # two that are pending at once would be one, and it is the second that kills
        harness.wait_until(lambda: not int(harness.proc_status(process.pid)["ShdPnd"], 16) & pending, "it was taken")
        process.send_signal(signal.SIGINT)
        outcome = self.finish(process)
        self.assertEqual((outcome.status, outcome.stdout), (128 + signal.SIGKILL, ""), outcome)
        report = self.report(outcome)
        self.assertTrue(report["run"]["interrupted"])
        self.assert_ordinary(report)

    def test_frozen_and_the_wrapper_is_killed(self):
        process = self.freeze()
        process.kill()
        self.assertEqual(process.stdout.read(), "thawed\n")


class Helper(Attack):
    @needs_root
    def test_kills_the_helper(self):
        outcome = self.shell(f'{FIND_PROBE}; echo $probe; $ORDINARY; kill -KILL $probe; $ORDINARY; '
                             f'{OWN_CGROUP}; echo $cg; exit 3')
        probe, cgroup = outcome.stdout.split()
        self.addCleanup(remove_if_there, cgroup)
        self.assertIsNone(harness.proc_status(int(probe)))
        self.assertEqual(outcome.status, harness.HARNESS_FAILED, outcome)
        report = self.report(outcome, complete=False)
        self.assertEqual(report["run"]["exit"], {"code": 3})
        self.assertIn("later crashes are missing", " ".join(report["collector"]["health"]["degraded"]))
        self.assertIn("later crashes are missing", outcome.stderr)
        for crash in report["crashes"]:  # the first, as far as it was out when the helper died
            if crash["status"] == "OK":
                self.assert_whole(crash, ORDINARY_FRAMES)
            else:
                self.assertNotEqual(crash["soft_errors"], [])
        harness.assert_nothing_left(self.before)

    def stop_and_continue(self, victim):
        # Crashes while nobody listens; the sibling that continues the victim waits for them.
        script = f"""{FIND_PROBE}; kill -STOP ${victim}
            until grep -q '^State:.T' /proc/${victim}/status; do :; done
            for i in 1 2 3 4 5 6 7 8 9 10; do $ORDINARY; done
            kill -CONT ${victim}; $ORDINARY; exit 0"""
        outcome = self.shell(script)
        self.assertEqual(outcome.status, harness.CRASH_BEHIND_SUCCESS, outcome)
        self.assert_ordinary(self.report(outcome), 11)
        harness.assert_nothing_left(self.before)

    @needs_root
    def test_stops_the_helper(self):
        self.stop_and_continue("probe")

    def test_stops_the_wrapper(self):
        self.stop_and_continue("wrapper")

    def test_kills_the_wrapper(self):
        process = self.start('kill -KILL $wrapper; $ORDINARY; echo $?')
        self.assertEqual(process.stdout.read(), f"{128 + signal.SIGSEGV}\n")
        self.assertEqual(process.wait(timeout=harness.DEADLINE), -signal.SIGKILL)
        harness.assert_nothing_left(self.before)


class Ring(Attack):
    def test_full_from_two_processes(self):
        crashes = 400
        outcome = self.run_attack([attack("big_stacks"), str(crashes)], "--ring-size=256K", "--stack-size=256K")
        report = self.report(outcome)
        self.assertEqual(report["counts"]["crashes"] + report["counts"]["lost"], crashes)
        self.assertEqual(len(report["crashes"]), report["counts"]["crashes"])
        for crash in report["crashes"]:
            if crash["status"] == "OK":
                self.assert_whole(crash, ATTACK_FRAMES)
            else:
                self.assertRegex(" ".join(crash["soft_errors"]), "did not fit the ring|last record is missing")
        self.assertGreater(report["collector"]["health"]["lost_records"], 0, "the ring was never full")
        print(f"ring of 256 KiB: {report['counts']['crashes']} reported, {report['counts']['lost']} lost")

    def test_threads_of_many_processes(self):
        outcome = self.run_attack([attack("threaded_storm"), "100"])
        report = self.report(outcome)
        self.assertEqual((report["counts"]["crashes"], report["counts"]["lost"]), (100, 0))
        for crash in report["crashes"]:
            problems = [problem for problem in crash["soft_errors"] if not problem.startswith("there is no core: ")]
            self.assertEqual((problems, len(crash["threads"])), ([], 20))
            self.assert_in_order(ATTACK_FRAMES, self.frames(crash))

    def test_two_thousand_sessions(self):
        outcome = self.run_attack([attack("own_session_storm"), "2000"], timeout=2 * harness.DEADLINE)
        report = self.report(outcome)
        self.assertEqual((report["counts"]["crashes"], report["counts"]["lost"]), (2000, 0))
        processes = [crash["process"] for crash in report["crashes"]]
        self.assertEqual(len({process["pid"] for process in processes}), 2000)
        self.assertEqual([process for process in processes if process["session"] != process["pid"]], [])
        self.assertEqual(report["counts"]["unique"], 1)


class Words(Attack):
    """What the process can put into the report by itself."""

    def test_hostile_names(self):
        name = b"\x1b[31m]]>\xff\n<error>"
        program = os.fsencode(self.folder) + b"/" + name
        shutil.copy(attack("hostile_names"), program)
        self.environment["PROGRAM"] = os.fsdecode(program)
        outcome = self.shell('"$PROGRAM"; $ORDINARY; exit 0')
        report = self.report(outcome)
        self.assert_ordinary(report)
        crash, = (crash for crash in report["crashes"] if len(crash["threads"]) == 5)
        self.assert_in_order(ATTACK_FRAMES, self.frames(crash))
        self.assertEqual(len(crash["process"]["command_args"]), 4)
        self.assertIn("[31mred", " ".join(thread["thread_name"] for thread in crash["threads"]))
        root = xml.etree.ElementTree.parse(outcome.output_dir / "junit.xml").getroot()
        self.assertEqual(len(root.findall(".//error")), 2)
        shown = re.sub(r"(?m)^.*Segmentation fault.*$", "", outcome.stderr)  # what the shell says of it is its own
        texts = [path.read_text() for path in outcome.output_dir.glob("crashes/*.txt")]
        for text in (shown[shown.index("crashcrawler"):], *texts):
            self.assertRegex(text, r"\A[^\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udcff]*\Z")
        for path in outcome.output_dir.glob("crashes/*"):
            self.assertRegex(path.name, r"\A[A-Za-z0-9._-]+\Z")

    def test_megabytes_of_arguments_and_environment(self):
        words = 16  # of 64 KiB: no single one may have more than 128 KiB (MAX_ARG_STRLEN)
        script = f"""word=$(head -c {64 * 1024 - 1} /dev/zero | tr '\\0' x)
            for i in {{1..{words}}}; do export VARIABLE_$i=$word; set -- "$@" "$word"; done
            ulimit -S -s 65536; $ORDINARY "$@"; $ORDINARY; exit 0"""
        outcome = self.shell(script)
        report = self.report(outcome)
        self.assertEqual((report["counts"]["crashes"], report["counts"]["lost"]), (2, 0), outcome)
        large, usual = report["crashes"]
        for crash in (large, usual):
            self.assert_in_order(ORDINARY_FRAMES, self.frames(crash))
        self.assertEqual(large["soft_errors"], ["the argument list is longer than what was kept of it"])
        self.assertEqual(large["process"]["command_args"][0], ORDINARY)
        self.assertEqual(usual["soft_errors"], [])


class Memory(Attack):
    def test_many_regions(self):
        self.environment["PROGRAM"] = attack("many_regions")
        outcome = self.shell("$PROGRAM 60000; $ORDINARY; exit 0")
        report = self.report(outcome)
        self.assert_ordinary(report)
        crash = self.assert_one_attack(report, "many_regions")
        self.assertRegex(" ".join(crash["soft_errors"]), r"5[0-9]{4} of 600[0-9]{2} regions of the memory map were left out")
        modules = {pathlib.Path(module["filename"]).name for module in crash["modules"]}
        self.assertLessEqual({"attack_many_regions", "libc.so.6", "ld-linux-x86-64.so.2"}, modules)
        self.assert_in_order([*ATTACK_FRAMES, "compare", "main"], self.frames(crash))
        self.assertEqual({frame["trust"] for frame in harness.crashed_thread(crash)["frames"]}, {"context", "cfi"})

    def test_no_stack(self):
        addresses = ["0", "41414141", "ffffffff81000000", "8000000000000000", "7fffffffffff"]
        self.environment |= {"UNMAPPED": attack("stack_unmapped"), "NOWHERE": attack("stack_pointer_nowhere")}
        places = "; ".join(f"$NOWHERE {address}" for address in addresses)
        outcome = self.shell(f"$UNMAPPED; {places}; $ORDINARY; exit 0")
        report = self.report(outcome)
        self.assert_ordinary(report)
        tops = collections.Counter()
        for crash in report["crashes"][:-1]:
            thread = harness.crashed_thread(crash)
            self.assertEqual(crash["crash_info"]["signal"]["fault_address"], "0x0")
            self.assertTrue(thread["stop_reason"], crash["id"])
            self.assertIn("outside the stack", " ".join(crash["soft_errors"]))
            tops[thread["frames"][0]["function"]] += 1
        self.assertEqual(tops, {"unmap_and_crash": 1, "crash_with_stack_pointer": len(addresses)})
        pointers = [int(harness.crashed_thread(crash)["registers"]["rsp"], 16) for crash in report["crashes"][1:-1]]
        self.assertEqual(pointers, [int(address, 16) for address in addresses])

    def test_blocks_and_ignores_all_signals(self):
        self.environment["PROGRAM"] = attack("blocked_signals")
        outcome = self.shell("$PROGRAM; echo $?; $ORDINARY; exit 0")
        self.assertEqual(outcome.stdout, f"{128 + signal.SIGSEGV}\n")
        report = self.report(outcome)
        self.assert_ordinary(report)
        self.assert_whole(self.assert_one_attack(report, "blocked_signals"), ATTACK_FRAMES)

    @needs_root
    def test_leaves_everything(self):
        program = self.folder / "attack_nothing_left"
        shutil.copy(attack("nothing_left"), program)
        jail = self.folder / "jail"
        jail.mkdir()
        self.environment |= {"PROGRAM": str(program), "JAIL": str(jail)}
        outcome = self.shell("$PROGRAM $JAIL; echo $?; $ORDINARY; exit 0")
        self.assertEqual(outcome.stdout, f"{128 + signal.SIGSEGV}\n", outcome)
        report = self.report(outcome)
        self.assert_ordinary(report)
        crash, = (crash for crash in report["crashes"] if crash["process"]["name"] == program.name[:15])
        module = next(module for module in crash["modules"] if module["filename"].endswith(program.name))
        self.assertTrue(module["deleted"], module)
        self.assertIn(str(jail), crash["process"]["root_directory"])
        self.assertTrue(harness.crashed_thread(crash)["frames"][0]["instruction_addr"])
        self.assertIn(program.name, " ".join(crash["soft_errors"]))


if __name__ == "__main__":
    harness.main()
