"""The first loads of a server, side by side: a model that takes long holds up no other.

Triton opens its ports only when every model that it was started with is loaded. So it is started
without any, and they are loaded one by one over gRPC.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Event, Thread

from trimaran.system.errors import TrimaranError

__all__ = ["Load", "Loads", "progress", "unready"]

_FIRST_WORD_S = 10.0
_WORD_EVERY_S = 30.0
_END_WITHIN_S = 2.0


@dataclass
class Load:
    """One model's load: `run` does it, once those that it `needs` have ended."""

    model: str
    run: Callable[[], object] = field(compare=False)
    needs: Collection[str] = ()
    began_at: float | None = None
    took_s: float = 0.0
    error: str = ""
    ended: Event = field(default_factory=Event, compare=False)


def unready(loads: Mapping[str, Load], now: float, limit_s: float) -> dict[str, str] | None:
    """The models that are not ready, with the reason; `None` while it is too early to say.

    That is while a load goes on that began less than `limit_s` ago, or waits for such a one.
    """
    found: dict[str, str] = {}
    late = {
        load.model
        for load in loads.values()
        if not load.ended.is_set() and load.began_at is not None and now - load.began_at >= limit_s
    }
    for name, load in loads.items():
        if load.ended.is_set():
            if load.error:
                found[name] = load.error
        elif name in late:
            found[name] = (
                f"did not load within {limit_s:g} s (--load-timeout); it goes on loading, and is "
                "not ready until then"
            )
        elif waits := sorted(late.intersection(load.needs)):
            found[name] = f"waits for {', '.join(waits)} to load"
        else:
            return None
    return found


def progress(loads: Collection[Load], now: float) -> str:
    """Which loads go on and for how long, and how many models are served meanwhile."""
    slow = "; ".join(
        f"{load.model}, {now - load.began_at:.0f} s"
        for load in loads
        if load.began_at is not None and not load.ended.is_set()
    )
    loaded = sum(load.ended.is_set() and not load.error for load in loads)
    return f"still loading: {slow} ({loaded} of {len(loads)} are served already)"


class Loads:
    """The loads of a server's models, each in a thread of its own.

    Triton cannot cancel a load. One that takes longer than `limit_s` goes on, but is not waited
    for any longer.
    """

    def __init__(self, limit_s: float, log: logging.Logger) -> None:
        self._limit_s = limit_s
        self._log = log
        self._loads: dict[str, Load] = {}
        self._late: set[str] = set()
        self._threads: list[Thread] = []

    def begin(self, loads: Iterable[Load]) -> None:
        """Begin every load; called once."""
        self._began_at = time.monotonic()
        self._word_at = self._began_at + _FIRST_WORD_S
        self._loads = {load.model: load for load in loads}
        self._threads = [
            Thread(target=self._carry_out, args=(load,), name=f"load-{load.model}", daemon=True)
            for load in self._loads.values()
        ]
        for thread in self._threads:
            thread.start()

    def unready(self) -> dict[str, str] | None:
        """What the function `unready` says now. Which loads take long is logged meanwhile."""
        now = time.monotonic()
        found = unready(self._loads, now, self._limit_s)
        if found is None and now >= self._word_at:
            self._word_at = self._began_at + _WORD_EVERY_S * (
                (now - self._began_at) // _WORD_EVERY_S + 1
            )
            self._log.info(progress(self._loads.values(), now))
        if found is not None:
            self._late = {name for name in found if not self._loads[name].ended.is_set()}
        return found

    def log_late(self) -> None:
        """Log what became of loads that were not waited for."""
        for name in [name for name in self._late if self._loads[name].ended.is_set()]:
            self._late.remove(name)
            load = self._loads[name]
            if load.error:
                self._log.error(f"{name}: did not load in {load.took_s:.0f} s: {load.error}")
            else:
                self._log.info(f"{name}: loaded after {load.took_s:.0f} s")

    def finish(self) -> None:
        """Wait for loads that end with the server."""
        until = time.monotonic() + _END_WITHIN_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _carry_out(self, load: Load) -> None:
        for name in load.needs:
            if name in self._loads:
                self._loads[name].ended.wait()
        load.began_at = time.monotonic()
        try:
            load.run()
        except (TrimaranError, OSError) as error:
            load.error = str(error)
        load.took_s = time.monotonic() - load.began_at
        load.ended.set()
