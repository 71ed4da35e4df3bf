"""A process that ends with the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal

__all__ = ["end_with_parent"]

_PR_SET_PDEATHSIG = 1
_INIT = 1


def end_with_parent() -> None:
    """Have this process killed when its parent dies, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == _INIT:
        os.kill(os.getpid(), signal.SIGKILL)
