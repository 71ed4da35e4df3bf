"""Compares the answers to live traffic as it comes: copies in, counts out.

    with shadowing(experiment, ports, Comparing(("label",)), log.news) as shadow:
        seen = shadow.seen(0.5)

What comes faster than the candidate is asked waits in a queue, which is bounded; what does not fit
is dropped, and said.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from queue import Empty, Full, Queue
from typing import Any

import numpy as np

from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.segments import ArmName
from trimaran.rollout.shadow.asking import Asked, Candidate
from trimaran.rollout.shadow.comparing import Difference, compared, severity
from trimaran.rollout.shadow.copies import Copied, receiving
from trimaran.rollout.shadow.found import Example, Found, kept_values, read_found
from trimaran.rollout.shadow.reading import UnreadableError, inputs_of, tensors_of
from trimaran.stats.anytime_quantiles import bin_of
from trimaran.system.ports import Ports

__all__ = ["Comparing", "Shadow", "shadowing"]

_ASKING = 4
"""Requests that the candidate has at once."""
_WAITING, _MOST_BYTES = 256, 64 << 20
"""How many copies wait at most, and their bytes."""
_LOOK_S, _END_S = 0.2, 1.0


@dataclass(frozen=True)
class Comparing:
    """How answers are compared."""

    outputs: tuple[str, ...]
    """Those that are compared."""
    tolerance: float = 0.01
    keep_inputs: bool = False
    """Whether the examples of disagreements hold the request."""


class Shadow:
    """Counts what both answered."""

    def __init__(
        self,
        experiment: Experiment,
        how: Comparing,
        news: Callable[[], Iterable[Mapping[str, Any]]],
    ) -> None:
        before = read_found(experiment.directory) or Found(how.tolerance)
        self.found = replace(before, waiting=0)
        self.socket = ""
        self._how = how
        self._name = experiment.state.name
        self._directory = experiment.directory
        self._news = news
        self._queue: Queue[Copied] = Queue(_WAITING)
        self._bytes = 0
        self._lock = threading.Lock()
        self._seen = {"live": _Seen(), "candidate": _Seen()}
        self._broken: Exception | None = None

    def seen(self, share: float) -> Mapping[ArmName, Observed]:
        """What was seen since the last call, whatever the share; the file has it too.

        Raises what ended a thread that asks the candidate.
        """
        if self._broken is not None:
            raise self._broken
        lines = [each for each in self._news() if each.get("experiment") == self._name]
        answered = sum(map(_is_answered, lines))
        with self._lock:
            live, candidate = (self._seen[arm].observed() for arm in ("live", "candidate"))
            self._seen = {"live": _Seen(), "candidate": _Seen()}
            self.found.answered += answered
            if answered or live.requests:
                self.found.write(self._directory)
        return {"live": live, "candidate": candidate}

    def take(self, copied: Copied) -> None:
        """Have a copy compared, or drop it."""
        size = len(copied.request.body) + len(copied.answer.body)
        with self._lock:
            if self._bytes + size > _MOST_BYTES:
                return
            try:
                self._queue.put_nowait(copied)
            except Full:
                return
            self._bytes += size
            self.found.waiting += 1

    def ask(self, candidate: Candidate, ended: threading.Event) -> None:
        """Ask the candidate what waits, until the end."""
        try:
            self._ask(candidate, ended)
        except Exception as error:
            self._broken = error

    def _ask(self, candidate: Candidate, ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                copied = self._queue.get(timeout=_LOOK_S)
            except Empty:
                continue
            size = len(copied.request.body) + len(copied.answer.body)
            asked = candidate.ask(copied)
            judged = _judged(copied, asked, self._how)
            with self._lock:
                self._bytes -= size
                self.found.waiting -= 1
                if not ended.is_set():
                    self._count(copied, asked, judged)

    def _count(self, copied: Copied, asked: Asked, judged: _Judged) -> None:
        found, live, candidate = self.found, self._seen["live"], self._seen["candidate"]
        found.taken += 1
        live.add(copied.live_s, failed=not _is_fine(copied))
        candidate.add(asked.seconds, failed=bool(judged.error))
        if not _is_fine(copied) or not (judged.differences or judged.error):
            return
        candidate.compared += 1
        candidate.agreed += judged.agrees
        found.add(judged.differences)
        if judged.error:
            found.failed(judged.error)
        elif not judged.agrees and found.is_among_worst(judged.differences):
            found.keep(_example(copied, judged, self._how))


@dataclass(frozen=True)
class _Judged:
    error: str = ""
    live: Mapping[str, np.ndarray] = field(default_factory=dict)
    candidate: Mapping[str, np.ndarray] = field(default_factory=dict)
    differences: Mapping[str, Difference] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        return not self.error and all(each.agrees for each in self.differences.values())


class _Seen:
    def __init__(self) -> None:
        self.requests = self.errors = self.compared = self.agreed = 0
        self.latencies: Counter[int] = Counter()

    def add(self, seconds: float, *, failed: bool) -> None:
        self.requests += 1
        self.errors += failed
        if not failed:
            self.latencies[bin_of(seconds)] += 1

    def observed(self) -> Observed:
        return Observed(
            requests=self.requests,
            errors=self.errors,
            units=self.requests,
            latencies=dict(self.latencies),
            compared=self.compared,
            agreed=self.agreed,
        )


@contextmanager
def shadowing(
    experiment: Experiment,
    model: str,
    ports: Ports,
    how: Comparing,
    news: Callable[[], Iterable[Mapping[str, Any]]],
) -> Iterator[Shadow]:
    """Compare what comes to the socket of `Shadow` during the block.

    `ports` are the candidate's, and `news` gives the new lines of the gateway's log of arms. Raises
    `TrimaranError` where what was found before cannot be read.
    """
    shadow, ended = Shadow(experiment, how, news), threading.Event()
    with Candidate(model, ports, _ASKING) as candidate, receiving(shadow.take) as socket:
        shadow.socket = str(socket)
        threads = [
            threading.Thread(target=shadow.ask, args=(candidate, ended), daemon=True)
            for _ in range(_ASKING)
        ]
        for thread in threads:
            thread.start()
        try:
            yield shadow
        finally:
            ended.set()
            for thread in threads:
                thread.join(_END_S)


def _is_fine(copied: Copied) -> bool:
    return copied.status == (0 if copied.kind == "call" else HTTPStatus.OK)


def _is_answered(line: Mapping[str, Any]) -> bool:
    """Whether a line of the gateway is of a request that is to be compared."""
    return line.get("arm") == "shadow" and line.get("why") == "via_upstream"


def _judged(copied: Copied, asked: Asked, how: Comparing) -> _Judged:
    if asked.error or not _is_fine(copied):
        return _Judged(asked.error)
    try:
        candidate = tensors_of(copied.kind, asked.message)
    except UnreadableError as error:
        return _Judged(f"an answer that cannot be read: {error}")
    try:
        live = tensors_of(copied.kind, copied.answer)
    except UnreadableError:
        live = {}
    differences = compared(live, candidate, how.tolerance, how.outputs)
    return _Judged("", live, candidate, differences)


def _example(copied: Copied, judged: _Judged, how: Comparing) -> Example:
    inputs = None
    if how.keep_inputs:
        try:
            given = inputs_of(copied.kind, copied.request)
            inputs = kept_values(given, given)
        except UnreadableError:
            inputs = {}
    return Example(
        copied.id,
        severity(judged.differences)[0],
        {name: each.distance for name, each in judged.differences.items() if not each.agrees},
        kept_values(judged.live, judged.differences),
        kept_values(judged.candidate, judged.differences),
        inputs,
    )
