"""A terminal with a shell that does job control, as far as the tests need one.

pty.fork() alone is not enough: what it starts leads its session, its process group is therefore orphaned, and Ctrl-Z
stops no member of an orphaned process group. So between the terminal and the job stands a shell of a few lines, which
tells the test what waitpid(2) tells it.
"""

import os
import pty
import re
import select
import signal
import time

DEADLINE = 30


class Terminal:
    """Runs `command` as the foreground job of a shell on a new terminal."""

    def __init__(self, command, folder):
        self.events, events = os.pipe()
        requests, self.requests = os.pipe()
        self.shell, self.master = pty.fork()
        if self.shell == 0:
            try:
                os.chdir(folder)
                run_shell(command, events, requests)
            finally:
                os._exit(1)
        os.close(events)
        os.close(requests)
        self.screen = b""
        self.event_bytes = b""
        self.job = self.event("started")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.job, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.kill(self.shell, signal.SIGKILL)
        os.waitpid(self.shell, 0)
        for fd in (self.master, self.events, self.requests):
            os.close(fd)

    def type(self, keys):
        os.write(self.master, keys)

    def wait_for(self, pattern):
        """Waits until the screen shows a text that matches; returns the match and forgets all up to its end."""
        match, self.screen = self._read_until(self.master, self.screen, pattern)
        return match

    def event(self, kind):
        """Waits for the next event of the shell, which must be of this kind; returns its number."""
        match, self.event_bytes = self._read_until(self.events, self.event_bytes, r"(\w+) (\d+)\n")
        got, number = match.group(1).decode(), int(match.group(2))
        if got != kind:
            raise AssertionError(f"the job has {got} {number}; expected: {kind}")
        return number

    def bring_to_foreground(self):
        """What `fg` does."""
        os.write(self.requests, b"f")

    @staticmethod
    def _read_until(fd, seen, pattern):
        end = time.monotonic() + DEADLINE
        while not (match := re.search(pattern.encode(), seen)):
            if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"after {DEADLINE} s still no {pattern} in {seen!r}")
            try:
                more = os.read(fd, 4096)
            except OSError:  # EIO: nobody has the terminal open any more
                more = b""
            if not more:
                raise AssertionError(f"the end came before {pattern}: {seen!r}")
            seen += more
        return match, seen[match.end():]


def run_shell(command, events, requests):
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # we take the terminal while in the background
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.closerange(3, 256)
        os.execv(command[0], command)

    def tell(kind, number):
        os.write(events, f"{kind} {number}\n".encode())

    tell("started", job)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            os.tcsetpgrp(0, os.getpid())
            tell("stopped", os.WSTOPSIG(status))
            os.read(requests, 1)
            os.tcsetpgrp(0, job)
            os.killpg(job, signal.SIGCONT)
        elif os.WIFSIGNALED(status):
            tell("killed", os.WTERMSIG(status))
        else:
            tell("exited", os.WEXITSTATUS(status))
