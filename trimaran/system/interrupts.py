"""How a command that runs others ends, and they with it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from typing import Any

__all__ = ["end_with_parent", "has_ended", "interrupt_once"]

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


def interrupt_once() -> None:
    """Turn the first SIGINT or SIGTERM into `KeyboardInterrupt`, and let none disturb the stop."""

    def interrupt(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
