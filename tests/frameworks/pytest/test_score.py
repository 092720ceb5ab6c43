"""Crashes and hangs on purpose: in the interpreter, through a C library, and in programs that tests start."""

import ctypes
import os
import subprocess

LIBRARY = os.environ["SCORE_LIBRARY"]
PROGRAM = os.environ["SCORE_PROGRAM"]


def test_is_the_best():
    assert max(41, 42) == 42


def test_is_wrong():
    assert max(41, 42) == 41


def test_is_refused():
    assert subprocess.run([PROGRAM]).returncode < 0


def test_is_saved_in_library():
    ctypes.CDLL(LIBRARY).finish()


def test_is_awaited():
    ctypes.CDLL(LIBRARY).await_nobody()


def test_is_saved_by_program():
    subprocess.run([PROGRAM])


class TestLater:
    def test_is_never_reached(self):
        pass
