"""Validates the reports of write_sample against docs/report.schema.json.

Usage: check_schema.py WRITE_SAMPLE SCHEMA

Beside validity: every field that is written is described, and the schema says no to what must not be.
Exit status 77: python3-jsonschema is missing.
"""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)


def validator(schema, definition=None):
    if definition:
        schema = {**schema, **schema["$defs"][definition]}
        schema = {key: schema[key] for key in ("$schema", "$defs", "type", "properties", "required")}
    return jsonschema.Draft202012Validator(schema)


def closed(schema):
    """The schema with every undescribed field forbidden."""
    schema = copy.deepcopy(schema)

    def close(node):
        if isinstance(node, dict):
            if "properties" in node and isinstance(node["properties"], dict):
                node.setdefault("additionalProperties", False)
            for value in node.values():
                close(value)
        elif isinstance(node, list):
            for value in node:
                close(value)

    close(schema)
    return schema


def check(document, against, name):
    errors = [f"{error.json_path}: {error.message[:300]}" for error in against.iter_errors(document)]
    assert not errors, f"{name}:\n  " + "\n  ".join(errors[:10])


def check_refusals(report, against):
    """Each change makes the report wrong; the schema has to notice."""
    def first_frame(document):
        return document["crashes"][0]["threads"][0]["frames"][0]

    changes = {
        "a numeric address": lambda d: first_frame(d).update(instruction_addr=4096),
        "an upper-case address": lambda d: first_frame(d).update(instruction_addr="0xABC"),
        "a frame without trust": lambda d: first_frame(d).pop("trust"),
        "line 0": lambda d: first_frame(d).update(line=0),
        "a local time": lambda d: d["run"].update(started="2025-03-01T12:00:00"),
        "a negative count": lambda d: d["counts"].update(lost=-1),
        "no counts": lambda d: d.pop("counts"),
        "an id with a slash": lambda d: d["crashes"][0].update(id="../x"),
        "another major version": lambda d: d.update(schema_version="2.0"),
    }
    for what, change in changes.items():
        document = copy.deepcopy(report)
        change(document)
        assert not against.is_valid(document), f"the schema accepts {what}"


def main():
    write_sample, schema_file = sys.argv[1:]
    schema = json.loads(pathlib.Path(schema_file).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([write_sample, folder], check=True, capture_output=True)
        root = pathlib.Path(folder)
        crash_files = sorted(root.glob("*/crashes/*.json"))
        reports = {path.parent.name: json.loads(path.read_text(encoding="utf-8"))
                   for path in sorted(root.glob("*/report.json"))}
        assert set(reports) == {"busy", "quiet"} and len(crash_files) == 5
        for strictness in (schema, closed(schema)):
            for name, report in reports.items():
                check(report, validator(strictness), name)
            for path in crash_files:
                check(json.loads(path.read_text(encoding="utf-8")), validator(strictness, "crash"), path.name)
        by_id = {crash["id"]: crash for crash in reports["busy"]["crashes"]}
        for path in crash_files:
            assert by_id[path.stem] == json.loads(path.read_text(encoding="utf-8")), path.name
        reports["busy"]["crashes"] = reports["busy"]["crashes"][:1]
        check_refusals(reports["busy"], validator(schema))
    print(f"{len(reports)} reports and {len(crash_files)} crash records are valid")


if __name__ == "__main__":
    main()
