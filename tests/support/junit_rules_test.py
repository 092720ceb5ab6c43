"""Every rule of junit_rules.py finds what it is for."""

import pathlib
import tempfile
import unittest

import junit_rules

ERROR = '<error type="SIGSEGV" message="died">died\n\n #0 f\n</error>'
CASE = '<testcase classname="A" name="b" time="0.001">{}</testcase>'
SUITE = '<testsuite name="s" tests="1" failures="0" errors="{}" skipped="0" time="0.001" ' \
        'timestamp="2026-01-31T10:00:00">{}</testsuite>'


def document(inside=ERROR, case=CASE, suite=SUITE):
    return f"<testsuites>{suite.format(int('<error' in inside), case.format(inside))}</testsuites>"


GOOD = document()
BAD = {
    "an empty file": "",
    "a character that XML forbids": GOOD.replace("died", "d\uffffied"),
    "wants testsuites": GOOD.removeprefix("<testsuites>").removesuffix("</testsuites>"),
    "CDATA": document("<system-out><![CDATA[x]]></system-out>"),
    "nested": GOOD.replace("<testcase", "<testsuite/><testcase"),
    "suite without a name": GOOD.replace('name="s"', 'name=""'),
    "without a case": "<testsuites><testsuite name='s' time='0.000' timestamp='2026-01-31T10:00:00'/></testsuites>",
    "the time of suite": document(suite=SUITE.replace('time="0.001"', 'time="0.1"')),
    "timestamp": GOOD.replace("T10:00:00", "T10:00:00+01:00"),
    "says errors=0": GOOD.replace('errors="1"', 'errors="0"'),
    "says tests=2": GOOD.replace("<testsuites>", '<testsuites tests="2">'),
    "suites of one name": document().replace("</testsuites>", SUITE.format(0, CASE.format("")) + "</testsuites>"),
    "all but one of": GOOD.replace("</testsuite>", CASE.format("") + "</testsuite>").replace('tests="1"', 'tests="2"'),
    "case without a name": GOOD.replace('name="b"', ""),
    "classname": GOOD.replace('classname="A"', ""),
    "NaN": document(case=CASE.replace("0.001", "soon")),
    "no time in milliseconds": document(case=CASE.replace(' time="0.001"', "")),
    "the first verdict": document('<failure message="x"/>' + ERROR),
    "type and message": GOOD.replace('type="SIGSEGV"', ""),
    "a line of an annotation": GOOD.replace("died", "x" * 201),
    "elements in its error": GOOD.replace("\n\n", "\n<b/>\n"),
    "Markdown": GOOD.replace(" #0", "#0"),
    "does not begin with it": GOOD.replace(">died", ">it died"),
    "cuts the body": GOOD.replace(" #0", " #0" + "x" * 50_000),
    "stands first": document(ERROR + "<system-out>x [[ATTACHMENT|a]]</system-out>"),
    "attachments below the workspace": document(ERROR + "<system-out>[[ATTACHMENT|a]]</system-out>"),
    "too large": document("<system-out>" + "x" * 10_000_001 + "</system-out>"),
}


class Rules(unittest.TestCase):
    def violations(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "junit.xml"
            path.write_text(text)
            return junit_rules.violations(path, ours=True, folder=path.parent)

    def test_a_good_file_breaks_none(self):
        self.assertEqual(self.violations(GOOD), [])

    def test_each_is_found(self):
        for words, text in BAD.items():
            with self.subTest(words):
                self.assertTrue(any(words in rule for rule in self.violations(text)), self.violations(text))


if __name__ == "__main__":
    unittest.main()
