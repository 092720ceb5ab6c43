"""What the readers of JUnit files ask of one, as rules: violations(path, ours=...) names those that are broken.

The rules are those that the readers document or that their code shows: Jenkins' junit and xunit plugins, GitLab, CircleCI,
dorny/test-reporter, mikepenz/action-junit-report, EnricoMi/publish-unit-test-result-action. `ours`: also what only our own
junit.xml promises. Programs that can be run are asked themselves, in junit_readers.py.
"""

import collections
import re
import xml.etree.ElementTree

VERDICTS = ("error", "failure", "skipped")
JENKINS_BODY = 50_000  # characters; more is cut
GITLAB_TEXT = 10_000_000  # near this size of one text its parser gives up
MESSAGE = 200  # characters, by our own promise
NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SECONDS = r"\d+\.\d{3}"
UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"


def counters(suites):
    """The sums over the cases of these suites, by the name of their attribute."""
    cases = [case for suite in suites for case in suite.iter("testcase")]
    count = {tag: sum(case.find(tag) is not None for case in cases) for tag in VERDICTS}
    return {"tests": len(cases), "failures": count["failure"], "errors": count["error"], "skipped": count["skipped"]}


def wrong_counters(element, suites):
    for name, value in counters(suites).items():
        written = element.get(name)
        if written is not None and int(written) != value:
            yield f"EnricoMi trusts counters: {element.tag} says {name}={written}, there are {value}"


def is_ours(error):
    """By what no other writer does: the first line of the body is the message."""
    return bool(error.get("message")) and (error.text or "").split("\n", 1)[0] == error.get("message")


def of_our_error(name, error):
    """Of each error that we write, also into the files of others."""
    text, message = error.text or "", error.get("message")
    if not error.get("type"):
        yield f"dorny prints type and message: {name} lacks one"
    if "\n" in message or len(message) > MESSAGE:
        yield f"mikepenz shows the message as a line of an annotation: {name} has {len(message)} characters"
    if len(error) > 0:
        yield f"mikepenz takes text alone: {name} has elements in its error"
    if any(re.match(r"#\d", line) for line in text.splitlines()):
        yield f"EnricoMi shows the body as Markdown: a frame of {name} stands at the beginning of a line"


def of_case(case, ours, folder):
    name = case.get("name")
    if not name:
        yield "dorny: a case without a name is a TypeError"
    if ours and not case.get("classname"):
        yield f"CircleCI sorts by classname: {name} has none"
    if case.get("time") is not None and not re.fullmatch(r"\d+(\.\d+)?(e-\d+)?", case.get("time")):
        yield f"dorny: time {case.get('time')} of {name} is NaN"
    if ours and not re.fullmatch(SECONDS, case.get("time") or ""):
        yield f"dorny, Jenkins xunit: {name} has no time in milliseconds"
    tags = [child.tag for child in case if child.tag in ("error", "failure")]
    if "error" in tags and tags != sorted(tags):
        yield f"Jenkins and dorny take the first verdict: that of {name} is no error"
    for error in case.findall("error"):
        if is_ours(error):
            yield from of_our_error(name, error)
        elif ours:
            yield f"EnricoMi puts the message before a body that does not begin with it: {name}"
        if len(error.text or "") > JENKINS_BODY:
            yield f"Jenkins cuts the body of {name}"
    output = case.findtext("system-out") or ""
    if "[[ATTACHMENT|" in output and not output.startswith("[[ATTACHMENT|"):
        yield f"GitLab reads the first attachment only, so it stands first: {name}"
    for attachment in re.findall(r"\[\[ATTACHMENT\|(.*?)\]\]", output):
        if folder is not None and not (folder / attachment).is_file():
            yield f"Jenkins looks for attachments below the workspace: {attachment} of {name} is not there"


def of_suite(suite, ours):
    if not suite.get("name"):
        yield "dorny: a suite without a name is a TypeError"
    if suite.find("testcase") is None:
        yield f"Jenkins: suite {suite.get('name')} without a case is dropped"
    if ours and not re.fullmatch(SECONDS, suite.get("time") or ""):
        yield f"Jenkins xunit: the time of suite {suite.get('name')} is not in milliseconds"
    if ours and not re.fullmatch(UTC, suite.get("timestamp") or ""):
        yield f"Jenkins: the timestamp of suite {suite.get('name')} is not UTC as it reads it"
    yield from wrong_counters(suite, [suite])


def violations(path, ours, folder=None):
    """Sentences, one for each broken rule. `path` must be well-formed. `folder`: where the command ran, to look for
    attachments."""
    text = path.read_bytes().decode("utf-8")
    found = []
    if not text:
        return ["dorny: an empty file is an error"]
    if NOT_IN_XML.search(text):
        return ["Jenkins: a character that XML forbids breaks the file"]
    root = xml.etree.ElementTree.fromstring(text.encode())
    suites = root.findall("testsuite") if root.tag == "testsuites" else [root]
    if ours and (root.tag != "testsuites" or "<![CDATA[" in text):
        found.append("dorny wants testsuites; mikepenz prefers CDATA to text")
    if any(suite.find(".//testsuite") is not None for suite in suites):
        found.append("dorny: nested suites are dropped")
    for suite in suites:
        found += of_suite(suite, ours)
    if root.tag == "testsuites":
        found += wrong_counters(root, suites)
    names = collections.Counter(suite.get("name") for suite in suites)
    found += [f"Jenkins merges suites of one name: {name}" for name, count in names.items() if name and count > 1]
    cases = [(suite, case) for suite in suites for case in suite.findall("testcase")]
    names = collections.Counter((suite.get("name"), case.get("classname"), case.get("name")) for suite, case in cases)
    found += [f"GitLab drops all but one of {name}" for name, count in names.items() if count > 1]
    for _, case in cases:
        found += of_case(case, ours, folder)
    if any(len(element.text or "") > GITLAB_TEXT for element in root.iter()):
        found.append("GitLab: a text is too large for its parser")
    return found
