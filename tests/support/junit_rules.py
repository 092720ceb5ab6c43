"""What the readers of JUnit files ask of one, as rules: violations(path, ours=...) names those that are broken.

The rules are those that the readers document or that their code shows: Jenkins' junit plugin, GitLab, dorny/test-reporter,
mikepenz/action-junit-report, EnricoMi/publish-unit-test-result-action. `ours`: also what only our own junit.xml promises.
"""

import collections
import re
import xml.etree.ElementTree

VERDICTS = ("error", "failure", "skipped")
JENKINS_BODY = 50_000  # characters; more is cut
GITLAB_TEXT = 10_000_000  # near this size of one text its parser gives up
NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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


def of_case(case, ours):
    name = case.get("name")
    if not name:
        yield "dorny: a case without a name is a TypeError"
    if case.get("time") is not None and not re.fullmatch(r"\d+(\.\d+)?(e-\d+)?", case.get("time")):
        yield f"dorny: time {case.get('time')} of {name} is NaN"
    if ours and case.get("time") is None:
        yield f"dorny: {name} has no time"
    for error in case.findall("error"):
        text = error.text or ""
        if ours and (not error.get("type") or not error.get("message")):
            yield f"dorny prints type and message: {name} lacks one"
        if ours and text.split("\n", 1)[0] != error.get("message"):
            yield f"EnricoMi puts the message before a body that does not begin with it: {name}"
        if len(text) > JENKINS_BODY:
            yield f"Jenkins cuts the body of {name}"
        if ours and len(error) > 0:
            yield f"mikepenz takes text alone: {name} has elements in its error"
    output = case.findtext("system-out") or ""
    if "[[ATTACHMENT|" in output and not output.startswith("[[ATTACHMENT|"):
        yield f"GitLab reads the first attachment only, so it stands first: {name}"


def violations(path, ours):
    """Sentences, one for each broken rule. `path` must be well-formed."""
    text = path.read_bytes().decode("utf-8")
    found = []
    if not text:
        return ["dorny: an empty file is an error"]
    if NOT_IN_XML.search(text):
        found.append("Jenkins: a character that XML forbids breaks the file")
    root = xml.etree.ElementTree.fromstring(text.encode())
    suites = root.findall("testsuite") if root.tag == "testsuites" else [root]
    if ours and (root.tag != "testsuites" or "<![CDATA[" in text):
        found.append("dorny wants testsuites; mikepenz prefers CDATA to text")
    if any(suite.find(".//testsuite") is not None for suite in suites):
        found.append("dorny: nested suites are dropped")
    for suite in suites:
        if not suite.get("name"):
            found.append("dorny: a suite without a name is a TypeError")
        if suite.find("testcase") is None:
            found.append(f"Jenkins: suite {suite.get('name')} without a case is dropped")
        found += wrong_counters(suite, [suite])
    if root.tag == "testsuites":
        found += wrong_counters(root, suites)
    cases = [(suite, case) for suite in suites for case in suite.findall("testcase")]
    names = collections.Counter((suite.get("name"), case.get("classname"), case.get("name")) for suite, case in cases)
    found += [f"GitLab drops all but one of {name}" for name, count in names.items() if count > 1]
    for _, case in cases:
        found += of_case(case, ours)
    if any(len(element.text or "") > GITLAB_TEXT for element in root.iter()):
        found.append("GitLab: a text is too large for its parser")
    return found
