"""How a command that runs others ends, and they with it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["end_with_parent", "ending_in_order", "has_ended", "interrupt_once"]

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """In a process that is started: be told to end when the one that started it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def has_ended(process: subprocess.Popen[Any]) -> bool:
    """Whether a child has ended; its status is left to `process.wait`.

    An interrupt in the middle of `Popen.poll` or `Popen.wait` can leave their lock taken, and then
    every later `wait` is for ever. This takes no lock.
    """
    if process.returncode is not None:
        return True
    try:
        return bool(os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
    except ChildProcessError:
        return True


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Turn SIGTERM into `KeyboardInterrupt` during the block, so that what it started is ended."""
    before = signal.getsignal(signal.SIGTERM)
    _interrupt_at(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupt_once() -> None:
    """Turn the first SIGINT or SIGTERM into `KeyboardInterrupt`, and let none disturb the stop."""
    _interrupt_at(signal.SIGINT, signal.SIGTERM)


def _interrupt_at(*numbers: signal.Signals) -> None:
    """Make the first of these signals a `KeyboardInterrupt`, and pass over all later ones."""

    def interrupt(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)
