"""Crashes on purpose: pytest writes no file when it dies, and no stack when its worker does."""

import ctypes


def store():
    ctypes.string_at(0)


def test_passes():
    pass


def test_fails():
    assert 1 == 2


def test_crashes():
    store()


class TestLater:
    def test_is_never_reached(self):
        pass
