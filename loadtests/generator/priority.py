"""Real-time priority of the generator, as if it did not share a core with the server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["first_in_line", "may_go_first"]


@contextmanager
def first_in_line() -> Iterator[None]:
    """Run this thread by real-time scheduling during the block, where that is permitted.

    It takes the server a few microseconds for each request.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, *before)


def may_go_first() -> bool:
    """Whether this process may use real-time scheduling: root, or `CAP_SYS_NICE`."""
    with first_in_line():
        return os.sched_getscheduler(0) == os.SCHED_FIFO
