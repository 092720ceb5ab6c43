#!/usr/bin/python3
"""What .editorconfig asks of every text file, and that what is to be run can be: tree_lint.py [ROOT]

A file that begins with #! has its run bit and the other way round; no trailing whitespace, no carriage returns, a
newline at the end. Looks at what git would take, or at everything where there is no git. Prints one line per violation.
"""

import os
import pathlib
import subprocess
import sys

# The commands that the README names. They are looked for by name, so that a lost #! line does not hide a lost run bit.
COMMANDS = ("fixtures/demo", "tests/run", "docker/install-dependencies", ".ci/run")
NOT_OURS = {".git", "build", "crashcrawler-out", "__pycache__"}


def files_of(root):
    listing = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             capture_output=True) if (root / ".git").exists() else None
    if listing and listing.returncode == 0:
        names = [os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]
        return sorted(pathlib.Path(name) for name in names if (root / name).is_file())
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path for path in found if not NOT_OURS & set(path.parts))


def check_file(root, path):
    content = (root / path).read_bytes()
    runs = os.access(root / path, os.X_OK)
    if content.startswith(b"#!") and not runs:
        yield f"{path}: begins with #! but has no run bit; chmod +x"
    if runs and not content.startswith(b"#!"):
        yield f"{path}: has its run bit but does not begin with #!; chmod -x"
    if b"\0" in content or not content or path.parts[:3] == ("tests", "fuzz", "corpus"):
        return  # bytes, not text
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.endswith(b"\r"):
            yield f"{path}:{number}: carriage return"
        elif line != line.rstrip():
            yield f"{path}:{number}: trailing whitespace"
    if not content.endswith(b"\n"):
        yield f"{path}: no newline at the end"


def violations(root):
    for path in files_of(root):
        yield from check_file(root, path)
    for command in COMMANDS:
        if not os.access(root / command, os.X_OK):
            yield f"{command}: is missing or has no run bit"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    found = list(violations(root))
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
