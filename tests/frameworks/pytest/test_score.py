"""Crashes on purpose: in the interpreter, through a C library, and in a program that a test starts and forgets."""

import ctypes
import os
import subprocess


def test_is_the_best():
    assert max(41, 42) == 42


def test_is_saved_in_library():
    ctypes.CDLL(os.environ["SCORE_LIBRARY"]).finish()


def test_is_saved_by_program():
    subprocess.run([os.environ["SCORE_PROGRAM"]])
