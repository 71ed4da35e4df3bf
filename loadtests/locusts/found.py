"""What a run of Locust left in its directory, as one outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loadtests.generator.outcome import Outcome
from loadtests.locusts.record import Record, read_records

__all__ = ["FACTS_SUFFIX", "Found", "outcome_of", "read_found"]

FACTS_SUFFIX = ".facts.json"
"""What each process writes at its end beside its requests."""


@dataclass(frozen=True)
class Found:
    """All processes together."""

    record: Record
    cpu_s: float = 0.0
    """CPU seconds of the users' processes."""
    refusal: str = ""
    """The server's words on the first request that failed, in the words of one process."""
    gave_up: str = ""
    """Why the users were stopped early, if they were."""
    locust_ms: Mapping[str, float] = field(default_factory=dict)
    """Percentiles as Locust itself rounds them."""
    locust_requests: int | None = None
    users_s: tuple[float, float] | None = None
    """When all processes were starting users, and when the first of them began to stop them."""


def read_found(directory: Path) -> Found:
    """From the files of a run that has ended, whichever way."""
    facts = []
    for path in sorted(directory.glob(f"*{FACTS_SUFFIX}")):
        try:
            facts.append(json.loads(path.read_text(encoding="utf-8")))
        except ValueError:  # the process was killed while it wrote
            continue
    own = dict(next((item["locust"] for item in facts if item["locust"]), {}))
    requests = own.pop("requests", None)
    spans = [item["users_s"] for item in facts if item["users_s"]]
    users_s = (max(s for s, _ in spans), min(s for _, s in spans)) if spans else None
    return Found(
        read_records(directory),
        sum(item["cpu_s"] for item in facts),
        next((item["refusal"] for item in facts if item["refusal"]), ""),
        next((item["gave_up"] for item in facts if item["gave_up"]), ""),
        {name: float(value) for name, value in own.items() if value is not None},
        requests,
        users_s,
    )


def outcome_of(found: Found, interrupted: bool) -> Outcome:
    """Requests from the first one's start; each was due when it was sent."""
    record = found.record
    sent_s = record.began_s - record.began_s[0] if len(record.began_s) else record.began_s
    done_s = sent_s + record.latency_s
    return Outcome(
        scheduled_s=sent_s,
        tried_s=sent_s,
        sent_s=sent_s,
        done_s=done_s,
        good=record.good,
        wall_s=float(np.max(done_s)) if len(done_s) else 0.0,
        cpu_s=found.cpu_s,
        interrupted=interrupted,
        refusal=found.refusal,
    )
