"""One fixture in one flavour under the wrapper, compared with its expected.json (format: fixtures/README.md).

    fixture.py BEHAVIOUR FLAVOUR PROGRAM
"""

import collections
import json
import pathlib
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import expectation
import harness

BEHAVIOUR, FLAVOUR, PROGRAM = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
EXPECTED = expectation.read(BEHAVIOUR, FLAVOUR)
SOURCE = harness.SOURCE / "fixtures" / PROGRAM.parent.name  # several behaviours may share one program


def marked_lines(file, marker):
    """Numbers of the lines of a fixture's source that carry the marker comment."""
    text = (SOURCE / file).read_text().splitlines()
    return {number for number, line in enumerate(text, 1) if f"/* {marker} */" in line}


def frames_with_symbols(thread, folder):
    """The frames of a thread of a stripped program, named by addr2line from the copy that still has its symbols."""
    frames = []
    for frame in thread["frames"]:
        if pathlib.Path(frame.get("module", "")).name != PROGRAM.name:
            continue
        # a return address belongs to the call before it
        offset = int(frame["module_offset"], 16) - (frame["trust"] != "context")
        command = ["addr2line", "-f", "-e", str(PROGRAM.parent / folder / PROGRAM.name), hex(offset)]
        function, place = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:2]
        file, line = place.split(" ")[0].rsplit(":", 1)
        frames.append({"function": function, "file": file, "line": int(line) if line.isdigit() else 0})
    return frames


def event_of(crash):
    """What headlines call it: the signal, or, where none was sent, the sanitizer."""
    return crash["signal"] or crash["sanitizer"]["tool"]


def junit_type(expected, reported):
    if expected["kind"] == "sanitizer":  # its words may be missing from memory
        finding = reported["crash_info"]["sanitizer"]
        return ":".join(filter(None, (finding["tool"], finding.get("kind"))))
    return expected["kind"] if expected["kind"] in ("hang", "oom") else expected["signal"]


class Fixture(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.expected = EXPECTED
        cls.folder = cls.enterClassContext(harness.TemporaryFolder())
        harness.become_subreaper()
        with harness.TemporaryFolder() as folder:
            command = expectation.command(EXPECTED, PROGRAM, folder)
            cls.bare = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            harness.reap_orphans()
        cls.outcome = harness.run(expectation.command(EXPECTED, PROGRAM, cls.folder), cls.folder, *EXPECTED.get("options", []))
        cls.report = cls.outcome.report()
        cls.crashes = cls.report["crashes"]

    def pairs(self):
        """Expected and reported crashes side by side; their number is a test of its own."""
        return zip(self.expected["crashes"], self.crashes)

    def test_exit_status(self):
        self.assertEqual(self.outcome.status, self.expected["exit_status"], self.outcome)

    def test_stdout_is_the_command_s(self):
        self.assertEqual(self.outcome.stdout, self.bare.stdout)

    def test_stderr_is_the_command_s_and_a_short_summary(self):
        self.assertTrue(self.outcome.stderr.startswith(self.bare.stderr), self.outcome)
        summary = self.outcome.stderr[len(self.bare.stderr):].splitlines()
        self.assertLessEqual(len(summary), harness.SUMMARY_LINES, self.outcome)
        worth_it = any(self.expected.get(field) for field in ("crashes", "soft_errors", "degraded"))
        self.assertEqual(bool(summary), worth_it, self.outcome)
        for expected in self.expected["crashes"]:
            self.assertIn(event_of(expected), "\n".join(summary))

    def test_number_of_crashes(self):
        self.assertEqual(len(self.crashes), len(self.expected["crashes"]), self.outcome)
        self.assertEqual(self.report["counts"]["crashes"], len(self.expected["crashes"]))
        self.assertEqual(self.report["counts"]["lost"], 0)

    def test_schema(self):
        harness.validate(self.report)

    def test_nothing_was_missing(self):
        self.assertEqual(self.report["collector"]["backend"], harness.COLLECTOR)
        health = self.report["collector"]["health"]
        self.assertEqual((health["lost"], health["truncated"]), (0, self.expected.get("truncated", 0)))
        for field, found in (("degraded", health["degraded"]), ("soft_errors", self.report.get("soft_errors", []))):
            wanted = self.expected.get(field, [])
            self.assertEqual(len(found), len(wanted), found)
            for text, said in zip(wanted, found):
                self.assertIn(text, said)

    def test_signal(self):
        for expected, crash in self.pairs():
            info = crash["crash_info"]
            self.assertEqual(info["kind"], expected["kind"])
            self.assertIn(expected.get("cause", ""), info["cause"])
            if expected["signal"] is None:
                self.assertNotIn("signal", info)
                continue
            self.assertEqual(info["signal"]["name"], expected["signal"])
            self.assertEqual(info["signal"]["code_name"], expected["code"])

    def test_sanitizer(self):
        for expected, crash in self.pairs():
            info = crash["crash_info"]
            wanted = {name: value for name, value in expected.get("sanitizer", {}).items() if value}
            found = info.get("sanitizer", {})
            if isinstance(wanted.get("kind"), list):  # whether its words are still in memory is chance
                self.assertIn(found["kind"], wanted["kind"])
                wanted["kind"] = found["kind"]
            self.assertEqual(found, wanted)
            self.assertIn(expected.get("message", ""), info.get("abort_message", ""))

    def test_environment(self):
        for expected, crash in self.pairs():
            environment = crash["process"].get("environment", {})
            for name, value in expected.get("environment", {}).items():
                self.assertEqual(environment.get(name), value, name)
            if "environment_source" in expected:
                self.assertEqual(crash["process"]["environment_source"], expected["environment_source"])

    def test_fault_address(self):
        for expected, crash in self.pairs():
            address = crash["crash_info"].get("signal", {}).get("fault_address")
            wanted = expected["fault_address"]
            if wanted is None:
                self.assertIsNone(address)
            elif wanted == "instruction":
                top = harness.crashed_thread(crash)["frames"][0]
                self.assertEqual(int(address, 16), int(top["instruction_addr"], 16))
            elif isinstance(wanted, dict):
                self.assertTrue(int(wanted["from"], 16) <= int(address, 16) <= int(wanted["to"], 16), address)
            else:
                self.assertEqual(int(address, 16), int(wanted, 16))

    def own_frames(self, expected, crash):
        thread = harness.crashed_thread(crash)
        if "symbols_from" in expected:
            return frames_with_symbols(thread, expected["symbols_from"])
        return harness.flatten(thread)

    def assert_in_order(self, names, frames):
        remaining = iter(frames)
        for name in names:
            if not any(harness.is_function(frame, name) for frame in remaining):
                shown = "\n".join(f"  {f.get('function')} {f.get('file')}:{f.get('line')}" for f in frames)
                self.fail(f"{name} is missing or out of order; expected {names}, reported\n{shown}")

    def test_frames(self):
        for expected, crash in self.pairs():
            self.assert_in_order(expected["frames"], self.own_frames(expected, crash))

    def test_crash_line(self):
        for expected, crash in self.pairs():
            if "crash_line" not in expected:
                continue
            file = expected["crash_line"]["file"]
            lines = marked_lines(file, expected["crash_line"]["marker"])
            # with its folder, because the C library has an abort.c too
            own = [f for f in self.own_frames(expected, crash)
                   if pathlib.Path(f.get("file") or "").parts[-2:] == (SOURCE.name, file)]
            self.assertTrue(own, f"no frame is in {file}")
            self.assertIn(own[0]["line"], lines, own[0])

    def test_threads(self):
        for expected, crash in self.pairs():
            self.assertEqual(harness.crashed_thread(crash)["thread_name"], expected["thread_name"])
            self.assertGreaterEqual(len(crash["threads"]), expected.get("min_threads", 1))
            by_name = collections.defaultdict(list)
            for thread in crash["threads"]:
                by_name[thread["thread_name"]].append(thread)
            for name, frames in expected.get("other_threads", {}).items():
                self.assertEqual(len(by_name[name]), expected.get("thread_counts", {}).get(name, 1), name)
                for thread in by_name[name]:
                    self.assert_in_order(frames, harness.flatten(thread))

    def test_report_of_an_inner_run(self):
        if "inner_report" in self.expected:
            inner = json.loads((self.folder / self.expected["inner_report"] / "report.json").read_text())
            harness.validate(inner)
            for key in ("crash_info", "signature", "threads"):
                self.assertEqual([crash[key] for crash in inner["crashes"]], [crash[key] for crash in self.crashes])

    def test_what_people_read_has_no_control_characters(self):
        texts = [self.outcome.stderr] + [path.read_text() for path in self.outcome.output_dir.glob("crashes/*.txt")]
        for text in texts:
            self.assertRegex(text, r"\A[^\x00-\x08\x0b-\x1f\x7f-\x9f]*\Z")

    def test_files_of_each_crash(self):
        names = {path.name for path in (self.outcome.output_dir / "crashes").glob("*")}
        self.assertEqual({name for name in names if not name.endswith(".core")},
                         {crash["id"] + suffix for crash in self.crashes for suffix in (".json", ".txt", ".repro.sh")})
        for expected, crash in self.pairs():
            self.assertRegex(crash["id"], r"^[A-Za-z0-9._-]+$")
            stem = self.outcome.output_dir / "crashes" / crash["id"]
            self.assertEqual(json.loads(stem.with_name(crash["id"] + ".json").read_text()), crash)
            text = stem.with_name(crash["id"] + ".txt").read_text()
            self.assertIn(event_of(expected), text)
            if "symbols_from" not in expected:
                for name in expected["frames"]:
                    self.assertIn(name, text)

    def test_junit(self):
        root = xml.etree.ElementTree.parse(self.outcome.output_dir / "junit.xml").getroot()
        self.assertEqual(root.tag, "testsuites")
        self.assertEqual([suite.get("name") for suite in root], ["crashcrawler"])
        self.assertTrue(root[0].findall("testcase"))
        errors = root.findall("testsuite/testcase/error")
        self.assertEqual([error.get("type") for error in errors], [junit_type(*pair) for pair in self.pairs()])
        for error in errors:
            self.assertLessEqual(len(error.get("message")), 200)
            self.assertEqual(error.text.splitlines()[0], error.get("message"))


if __name__ == "__main__":
    harness.require_capture()
    expectation.require(EXPECTED, PROGRAM)
    unittest.main(argv=sys.argv[:1], verbosity=2)
