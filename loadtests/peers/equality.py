"""Whether a peer answers what the job answers in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadtests.jobs.files import PHOTOGRAPH
from loadtests.jobs.opening import Job
from loadtests.peers.service import PeerService
from trimaran.system.errors import TrimaranError

__all__ = ["check_equal", "difference"]

_CHANCE = 1e-6
"""The most that a probability of churn may differ."""
_SHARE = 1e-4
"""The most that a label's probability may differ: batches take another way through the network."""


def check_equal(service: PeerService, job: Job, inputs: Sequence[bytes]) -> None:
    """Raise `TrimaranError` for the first input to which a peer says something else."""
    for at, data in enumerate(inputs):
        found, wanted = service.ask(data), job.answer(data)
        words = difference(service.job, found, wanted)
        if words:
            raise TrimaranError(f"{service.peer.title} disagrees on input {at}: {words}")


def difference(job: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """How two answers differ, in words; empty where they are equal."""
    if job == PHOTOGRAPH:
        if found["label"] != wanted["label"]:
            return f"labels {found['label']}, expected {wanted['label']}"
        pairs = zip(found["probability"], wanted["probability"], strict=True)
        apart = max(abs(mine - right) for mine, right in pairs)
        return f"probabilities are {apart:g} apart" if not apart <= _SHARE else ""
    if found["churn_prediction"] != wanted["churn_prediction"]:
        return f"prediction {found['churn_prediction']}, expected {wanted['churn_prediction']}"
    apart = abs(found["churn_probability"] - wanted["churn_probability"])
    return f"probabilities are {apart:g} apart" if not apart <= _CHANCE else ""
