"""Clients that send one request again and again, and the answers that they got."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from tests.running import Served, repeating
from trimaran.serving.client import Protocol
from trimaran.system.errors import TrimaranError

PAUSE_S = 0.01
"""Between an answer and the next request, so that a test's load does not keep the whole machine."""

_CLIENTS: tuple[Protocol, ...] = ("http", "grpc", "grpc")


@dataclass
class Answers:
    """Versions, outputs and failures of all answers together."""

    versions: set[str] = field(default_factory=set)
    outputs: list[Mapping[str, np.ndarray]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.outputs)


@contextmanager
def under_load(served: Served, model: str, inputs: Mapping[str, np.ndarray]) -> Iterator[Answers]:
    """Three clients that ask again and again during the block."""
    answers = Answers()

    def ask(protocol: Protocol, over: threading.Event) -> None:
        with served.client(protocol) as client:
            while not over.wait(PAUSE_S):
                try:
                    answer = client.infer(model, inputs)
                except TrimaranError as error:
                    answers.failures.append(str(error))
                    continue
                answers.versions.add(answer.version)
                answers.outputs.append(answer.outputs)

    with repeating(*(partial(ask, protocol) for protocol in _CLIENTS)):
        yield answers
