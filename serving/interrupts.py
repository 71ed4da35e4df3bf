"""How a command that runs others ends, and they with it."""

from __future__ import annotations

import ctypes
import signal

__all__ = ["end_with_parent", "interrupt_once"]

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """In a process that is started: be told to end when the one that started it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def interrupt_once() -> None:
    """Turn the first SIGINT or SIGTERM into `KeyboardInterrupt`, and let none disturb the stop."""

    def interrupt(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
