"""An ordinary user, for tests that root runs: `nobody`, in a mount namespace where sudo has the rules and /run the engine that the
test chooses. Of the machine nothing is changed."""

import os
import pathlib
import pwd
import shlex
import shutil
import stat
import subprocess
import unittest

import harness

NAME = "nobody"
SOCKET = "/run/docker.sock"
BECOME = ("setpriv", "--reuid", NAME, "--regid", "nogroup", "--clear-groups")
SUDO_WITHOUT_PASSWORD = f"{NAME} ALL=(ALL) NOPASSWD: ALL"


def uid():
    return pwd.getpwnam(NAME).pw_uid


def installed_copy(folder):
    """Our programs in a folder below this one, in which he may write himself. Returns the wrapper."""
    folder.chmod(0o777)
    programs = folder / "programs"
    programs.mkdir()
    return harness.installed_copy(programs)


def socket_of(engine):
    """The file by which `engine` (docker.Engine) is reached. Skips the test where it is not one that can be kept from a user."""
    host = engine.environment.get("DOCKER_HOST") or f"unix://{SOCKET}"
    if not host.startswith("unix://"):
        raise unittest.SkipTest(f"the engine is reached by {host}, which has no owner and no group")
    path = pathlib.Path(host.removeprefix("unix://")).resolve()
    if not stat.S_IMODE(path.stat().st_mode) & stat.S_IWGRP or stat.S_IMODE(path.stat().st_mode) & stat.S_IWOTH:
        raise unittest.SkipTest(f"{path} is not for the members of a group alone")
    return path


class OrdinaryUser:
    """`rules`: of sudo; without any it asks for a password. `socket`: of an engine; it lies at `place` there, and nothing else in /run.
    `may_use_engine`: he is in the group of the socket. `also`: more that root does there before."""

    def __init__(self, rules=(SUDO_WITHOUT_PASSWORD,), socket=None, place=SOCKET, may_use_engine=True, also=()):
        if harness.privilege() != []:
            raise unittest.SkipTest("needs root to become an ordinary user")
        if not shutil.which("sudo"):
            raise unittest.SkipTest("sudo is not installed")
        lines = ["mount -t tmpfs -o mode=755 none /etc/sudoers.d"]
        if rules:
            lines += [f"printf '%s\\n' {shlex.join(rules)} > /etc/sudoers.d/test", "chmod 440 /etc/sudoers.d/test"]
        become = BECOME
        self.environment = {**os.environ, "LC_ALL": "C", "HOME": "/nonexistent"}
        if socket:  # it may lie in /run itself
            lines += [f"exec 3< {shlex.quote(str(socket.parent))}", "mount -t tmpfs -o mode=755 none /run", f"touch {place}",
                      f"mount --bind /proc/self/fd/3/{shlex.quote(socket.name)} {place}", "exec 3<&-"]
            self.environment["DOCKER_HOST"] = f"unix://{place}"
            if may_use_engine:
                group = socket.stat().st_gid  # also for whom sudo makes him again
                lines += [f"{{ cat /etc/group; echo users-of-engine:x:{group}:{NAME}; }} > /run/group", "mount --bind /run/group /etc/group"]
                become = (*BECOME[:-1], f"--groups={group}")
        self.prefix = ["unshare", "--mount", "sh", "-ec", "; ".join([*lines, *also, 'exec "$@"']), "sh", *become]

    def run(self, *command, **popen_arguments):
        arguments = {"env": self.environment, "capture_output": True, "text": True, "timeout": harness.DEADLINE, **popen_arguments}
        return subprocess.run([*self.prefix, *map(str, command)], **arguments)
