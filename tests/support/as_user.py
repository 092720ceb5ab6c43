"""A test as an ordinary user, which is what runs tests on most machines.

    as_user.py sudo|plain SCRIPT ARGUMENT...

The user is nobody, who may run everything by sudo(8), or nothing. Those rules are there in a mount namespace of the test's own.
Only root can become somebody; anybody else runs the tests as such a user anyway, so it is a visible skip then."""

import os
import pathlib
import pwd
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness

USER = pwd.getpwnam("nobody")
BECOME = ["setpriv", "--reuid", str(USER.pw_uid), "--regid", str(USER.pw_gid), "--clear-groups"]
RULES = {"sudo": f"{USER.pw_name} ALL=(ALL) NOPASSWD: ALL", "plain": ""}
WITH_RULES = 'mount -t tmpfs -o mode=755 none /etc/sudoers.d; echo "$1" > /etc/sudoers.d/test; chmod 440 /etc/sudoers.d/test; shift; exec "$@"'


def main(rights, *test):
    if os.geteuid() != 0:
        harness.skip("only root can become another user")
    if not shutil.which("sudo"):
        harness.skip("sudo is not installed")
    if subprocess.run([*BECOME, "test", "-r", test[0], "-a", "-x", harness.RUN]).returncode != 0:
        harness.skip(f"{USER.pw_name} may not read {harness.SOURCE} or {harness.BUILD}")
    with harness.TemporaryFolder(owner=USER.pw_uid) as home:
        environment = {**os.environ, "HOME": str(home), "USER": USER.pw_name, "LOGNAME": USER.pw_name}
        command = ["unshare", "--mount", "sh", "-ec", WITH_RULES, "sh", RULES[rights], *BECOME, sys.executable, *test]
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
