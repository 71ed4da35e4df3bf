"""Shows other processes whether a model's process still works, and since when on one batch.

Two numbers lie in memory that ends with the process, in a file descriptor of the name `NAME`: when
the oldest batch began that is not answered (0 without one), and when the interpreter last ran.
Both are seconds of the machine's monotonic clock, as float64.
"""

from __future__ import annotations

import functools
import inspect
import mmap
import os
import threading
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

__all__ = ["BEAT_S", "LENGTH", "NAME", "beating"]

Model = TypeVar("Model", bound=type)

NAME = "trimaran_pulse"
LENGTH = 16
"""In bytes."""
BEAT_S = 2.0
"""How often the interpreter says that it runs."""

_BEATING = "_trimaran_beating"


class _Pulse:
    """The two numbers of this process."""

    def __init__(self) -> None:
        descriptor = os.memfd_create(NAME)
        os.ftruncate(descriptor, LENGTH)
        self.numbers = memoryview(mmap.mmap(descriptor, LENGTH)).cast("d")
        self._began: dict[object, float] = {}
        self._beat()
        threading.Thread(target=self._beat_for_ever, name=NAME, daemon=True).start()

    async def awaited(self, responses: Awaitable[Any]) -> Any:
        """Wait for a batch, beside others; the oldest of them shows."""
        mark = object()
        self._began[mark] = time.monotonic()
        self._show_oldest()
        try:
            return await responses
        finally:
            del self._began[mark]
            self._show_oldest()

    def _show_oldest(self) -> None:
        self.numbers[0] = next(iter(self._began.values()), 0.0)

    def _beat(self) -> None:
        self.numbers[1] = time.monotonic()

    def _beat_for_ever(self) -> None:
        while True:
            time.sleep(BEAT_S)
            self._beat()


@functools.cache
def _pulse() -> _Pulse | None:
    try:
        return _Pulse()
    except OSError:  # such as a container that forbids it
        return None


def beating(model: Model) -> Model:
    """The class `TritonPythonModel`, changed to show the pulse; one that does stays as it is."""
    methods: Any = model
    if hasattr(model, _BEATING) or not hasattr(model, "execute"):
        return model
    execute = methods.execute

    @functools.wraps(execute)
    def execute_beating(self: Any, requests: Any) -> Any:
        pulse = _pulse()
        if pulse is None:
            return execute(self, requests)
        numbers = pulse.numbers
        numbers[0] = time.monotonic()
        try:
            responses = execute(self, requests)
        finally:
            numbers[0] = 0.0
        return pulse.awaited(responses) if inspect.isawaitable(responses) else responses

    methods.execute = execute_beating
    setattr(model, _BEATING, True)
    return model
