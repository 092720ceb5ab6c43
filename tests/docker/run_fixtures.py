"""Runs fixtures in this place, each checked against its expected.json by tests/integration/fixture.py, and keeps
their reports. It is what runs inside the containers of test_levels.py, and on the host for comparison.

    run_fixtures.py PLAN RESULTS

PLAN is a file: {"programs": {behaviour: [flavour, program]}, "differences": fields that here are other than in any expected.json}.
Each leaves RESULTS/<behaviour>.json: {"outcome": "passed"|"failed"|"skipped", "said": text, "report": the run's}.
RESULTS/packages.json has the versions of all packages that are installed here, as "name:architecture" and as "name".
"""

import io
import json
import os
import pathlib
import runpy
import subprocess
import sys
import traceback
import unittest

INTEGRATION = pathlib.Path(__file__).resolve().parents[1] / "integration"
sys.path[:0] = [str(INTEGRATION), str(INTEGRATION.parent / "support")]
import expectation
import harness

PLAN, RESULTS = json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2])


def apply_differences():
    read = expectation.read
    expectation.read = lambda *arguments: {**read(*arguments), **PLAN["differences"]}


def check(behaviour, flavour, program):
    """In a process of its own: what there is to say of a fixture."""
    apply_differences()
    sys.argv = ["fixture.py", behaviour, flavour, program]
    fixture = runpy.run_path(str(INTEGRATION / "fixture.py"), run_name="fixture")
    said = io.StringIO()
    sys.stdout = said  # a skip is printed
    try:
        expectation.require(fixture["EXPECTED"], program)
    except SystemExit:
        return {"outcome": "skipped", "said": said.getvalue().strip()}
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(fixture["Fixture"])
    result = unittest.TextTestRunner(stream=said).run(suite)
    return {"outcome": "passed" if result.wasSuccessful() else "failed", "said": said.getvalue(),
            "report": getattr(fixture["Fixture"], "report", None)}


def start(behaviour):
    """In a child, because fixture.py is a program that knows one fixture only. Returns its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            (RESULTS / f"{behaviour}.json").write_text(json.dumps(check(behaviour, *PLAN["programs"][behaviour])))
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def run_all(behaviours, at_once=2):
    """Waits for any child: in a container this is pid 1, to which all orphans come. True when each has its result."""
    running, complete = set(), True
    while behaviours or running:
        while behaviours and len(running) < at_once:
            running.add(start(behaviours.pop(0)))
        pid, status = os.wait()
        complete &= pid not in running or status == 0
        running.discard(pid)
    return complete


def installed_packages():
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package}:${Architecture} ${Version}\\n"], capture_output=True, text=True).stdout
    return {name: version for full, version in (line.split() for line in shown.splitlines())
            for name in (full, full.split(":")[0])}


if __name__ == "__main__":
    (RESULTS / "packages.json").write_text(json.dumps(installed_packages()))
    sys.exit(not run_all(list(PLAN["programs"])))
