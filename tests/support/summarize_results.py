#!/usr/bin/python3
"""Counts what a CTest run did: summarize_results.py JUNIT_FILE (as `ctest --output-junit` writes it).

CTest knows programs; a GoogleTest program holds many tests, and one that skipped half of them is "Passed" all the same.
So the output of those is counted test by test. What was skipped is listed with its reason, the same reasons together,
and the last line is exactly "N passed, N failed, N skipped". Exit status 1 when something failed or nothing ran.
"""

import collections
import re
import sys
import xml.etree.ElementTree

RESULT = re.compile(r"^\[ {2}(?:     OK|SKIPPED|FAILED ) \] (\S+?\.\S+?)(?:, where .*)? \(\d+ ms\)$")
STARTED = re.compile(r"^\[ RUN      \] (\S+)$")
GTEST_MAIN = "Running main() from "


class Results:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = collections.defaultdict(list)  # reason -> names


def count_gtest(name, text, results):
    """The tests of one GoogleTest program. True when it accounts for the program's failure, if there was one."""
    running, reason = None, []
    failures = 0
    for line in text.splitlines():
        if started := STARTED.match(line):
            running, reason = started[1], []
        elif running and (ended := RESULT.match(line)):
            full_name = f"{name}: {ended[1]}"
            if "SKIPPED" in line:
                said = [said for said in reason if said and not said.endswith(": Skipped")]
                results.skipped[" ".join(said) or "no reason given"].append(full_name)
            elif "FAILED" in line:
                failures += 1
                results.failed.append(full_name)
            else:
                results.passed += 1
            running = None
        elif running:
            reason.append(line.strip())
    if running:
        failures += 1
        results.failed.append(f"{name}: {running} (did not come to its end)")
    return failures > 0


def reason_of(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line.removeprefix("SKIPPED: ") for line in lines if line.startswith("SKIPPED: ")]
    return (said or lines or ["no reason given"])[-1]


def summarize(junit):
    results = Results()
    for case in xml.etree.ElementTree.parse(junit).getroot().iter("testcase"):
        name, status = case.get("name"), case.get("status")
        text = case.findtext("system-out") or ""
        not_run = case.find("skipped").get("message", "") if status == "notrun" else ""
        if text.startswith(GTEST_MAIN):
            if not count_gtest(name, text, results) and status == "fail":
                results.failed.append(f"{name} (all of its tests passed, and then it failed)")
        elif status == "run":
            results.passed += 1
        elif status == "disabled":
            results.skipped["disabled"].append(name)
        elif not_run.startswith("SKIP_"):  # SKIP_RETURN_CODE, SKIP_REGULAR_EXPRESSION
            results.skipped[reason_of(text)].append(name)
        else:
            results.failed.append(f"{name} ({not_run})" if not_run else name)
    return results


def report(results):
    lines = []
    for name in results.failed:
        lines.append(f"failed: {name}")
    for reason, names in sorted(results.skipped.items()):
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        lines.append(f"skipped {len(names)}: {reason} ({shown})")
    skipped = sum(map(len, results.skipped.values()))
    lines.append(f"{results.passed} passed, {len(results.failed)} failed, {skipped} skipped")
    return "\n".join(lines)


def main():
    results = summarize(sys.argv[1])
    print(report(results))
    return 1 if results.failed or results.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
