"""A command for the tests: start_daemon.py FIFO

Starts a daemon (fork, setsid, fork), prints its own pid and the daemon's, and exits with 0. The daemon reads one word
from FIFO: "exit" ends it, "crash" makes it read address 0.
"""

import ctypes
import os
import sys

running, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.write(tell, str(os.getpid()).encode())
        os.close(tell)
        with open(sys.argv[1]) as fifo:
            word = fifo.read()
        if word == "crash":
            ctypes.string_at(0)
    os._exit(0)
os.close(tell)
os.wait()
print(os.getpid(), os.read(running, 32).decode(), flush=True)
