"""Programs of others that read JUnit files, run on ours: unread(paths) names what they did not find.

junitparser is Debian's python3-junitparser, which EnricoMi/publish-unit-test-result-action reads with, too. The others
come from npm, which the tests do not start: `ninja junit_readers` installs them into the build folder.
"""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import xml.etree.ElementTree

import harness

SCRIPT = pathlib.Path(__file__).resolve().parent / "junit_readers" / "read.mjs"
FOLDER = harness.BUILD / "tests" / "junit_readers" / "node_modules"
FROM_NPM = ("junit2json", "test-results-parser", "xunit-viewer")


def has_npm_readers():
    return shutil.which("node") is not None and all((FOLDER / name).exists() for name in FROM_NPM)


def missing():
    """Readers that are not here, in words."""
    if importlib.util.find_spec("junitparser") is None:
        yield "python3-junitparser is not installed"
    if not has_npm_readers():
        yield f"{', '.join(FROM_NPM)} are not installed (ninja junit_readers)"


def first_messages(path):
    """Of each case with an error of ours its message: where there are several, readers may show the first alone."""
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        error = case.find("error")
        if error is not None and (error.text or "").split("\n", 1)[0] == error.get("message"):
            yield error.get("message")


def by_junitparser(path):
    import junitparser
    read = junitparser.JUnitXml.fromfile(str(path))
    suites = [read] if isinstance(read, junitparser.TestSuite) else list(read)
    return [result.message for suite in suites for case in suite for result in case.result
            if isinstance(result, junitparser.Error)]


def unread(paths):
    """Sentences, one for each error of ours in these files that a reader has not shown; and the readers that ran."""
    found = {}
    if importlib.util.find_spec("junitparser") is not None:
        found["junitparser"] = {str(path): by_junitparser(path) for path in paths}
    if has_npm_readers():
        done = subprocess.run(["node", SCRIPT, FOLDER], input="\n".join(map(str, paths)), capture_output=True,
                              text=True, check=True)
        found |= json.loads(done.stdout)
    problems = [f"{reader} did not show {message!r} of {path}: {seen[str(path)]}" for reader, seen in found.items()
                for path in paths for message in first_messages(path) if message not in seen[str(path)]]
    return problems, sorted(found)
