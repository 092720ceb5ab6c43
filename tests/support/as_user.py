"""A test by an ordinary user, as in most CI: `as_user.py SCRIPT ARGUMENT...` runs it as the one of ordinary_user.py, who has a
sudo(8) that asks for nothing. Only root can become somebody, and anybody else is such a user anyway: a visible skip."""

import subprocess
import sys
import unittest

import harness
import ordinary_user


def main(*test):
    try:
        user = ordinary_user.OrdinaryUser()
    except unittest.SkipTest as skip:
        harness.skip(str(skip))
    if user.run("test", "-r", test[0], "-a", "-x", harness.RUN).returncode != 0:
        harness.skip(f"{ordinary_user.NAME} may not read {harness.SOURCE} or {harness.BUILD}")
    with harness.TemporaryFolder(owner=ordinary_user.uid()) as home:
        environment = {**user.environment, "HOME": str(home), "USER": ordinary_user.NAME, "LOGNAME": ordinary_user.NAME}
        return subprocess.run([*user.prefix, sys.executable, *test], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
