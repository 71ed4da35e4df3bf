"""How a command that runs others ends, and they with it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
from typing import Any

__all__ = ["end_with_parent", "ended_within", "interrupt_once"]

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """In a process that is started: be told to end when the one that started it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def ended_within(process: subprocess.Popen[Any], timeout_s: float) -> bool:
    """Whether a child has ended, or does so in time; its status is left to `process.wait`.

    An interrupt in the middle of `Popen.poll` or `Popen.wait` can leave their lock taken, and then
    every later `wait` is for ever. This takes no lock.
    """
    if process.returncode is not None:
        return True
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        watched = select.poll()
        watched.register(descriptor, select.POLLIN)
        return bool(watched.poll(timeout_s * 1000))
    finally:
        os.close(descriptor)


def interrupt_once() -> None:
    """Turn the first SIGINT or SIGTERM into `KeyboardInterrupt`, and let none disturb the stop."""

    def interrupt(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
