"""A command for the tests: says "ready PID", then each SIGINT, SIGTERM, SIGHUP and SIGCONT that reaches it, with a
count. Exits with 7 on SIGTERM."""

import os
import signal

counts = {}


def report(number, _):
    name = signal.Signals(number).name
    counts[name] = counts.get(name, 0) + 1
    os.write(1, f"<{name} {counts[name]}>\n".encode())
    if number == signal.SIGTERM:
        os.write(1, f"<SIGINT in all: {counts.get('SIGINT', 0)}>\n".encode())
        os._exit(7)


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
    signal.signal(number, report)
os.write(1, f"<ready {os.getpid()}>\n".encode())
while True:
    signal.pause()
