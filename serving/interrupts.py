"""Ctrl-C and SIGTERM end a command that runs others, once."""

from __future__ import annotations

import signal

__all__ = ["interrupt_once"]


def interrupt_once() -> None:
    """Turn the first SIGINT or SIGTERM into `KeyboardInterrupt`, and let none disturb the stop."""

    def interrupt(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
