"""How a model's traffic is split between what is live and a candidate, as the gateway is told.

    with announcing(repository, "churn") as announce:
        announce(split)

The gateway follows the announcement until the block ends, or the process. So nothing that kills
the process leaves a candidate with traffic.

A client's key decides the arm by its keyed digest: those whose digest, as a fraction between 0 and
1, is below the candidate's share. A greater share so keeps every client that the candidate had.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.segments import ArmName
from trimaran.system.files import read_regular, write_text
from trimaran.system.ports import Ports
from trimaran.system.processes import start_time, still_runs

__all__ = [
    "ARMS_LOG",
    "CANDIDATE_SHARE",
    "FINEST",
    "SERVER_READY",
    "Split",
    "announcing",
    "arm_of",
    "splits_of",
    "unit_of",
]

ARMS_LOG = "arms.log"
"""The file, in the gateway's folder, where each request to a model with a candidate has a line."""

CANDIDATE_SHARE = "trimaran_gateway_candidate_share"
"""The figure by which the gateway says which splits it follows, by model and experiment."""
SERVER_READY = "trimaran_gateway_server_ready"
"""The figure by which it says which servers take requests."""
FINEST = 1 << 32
"""Parts of the traffic that a share is counted in."""

_NAME = "split.json"
_OWNER_ONLY = 0o600
_DIGITS = 8
_LONGEST_SOCKET = 100
"""Bytes of its path; Linux takes 107."""


@dataclass(frozen=True)
class Split:
    """One model's traffic between two arms. Headers of gRPC are its metadata."""

    experiment: str
    """As `churn/1`."""
    model: str
    live: str
    candidate: str
    """The releases of the arms."""
    share: float
    """The candidate's part of the traffic, between 0 and 1; 0 while it is only made ready."""
    ports: Ports
    """Where the candidate's server is."""
    header: str = ""
    """The header that holds a client's key; without one, each request is divided by itself."""
    digest_key: str = field(default="", repr=False)
    """Of the digests of clients' keys: 64 signs at most."""
    socket: str = ""
    """Of a shadow: the Unix socket to which requests and live's answers are copied."""

    @property
    def is_shadow(self) -> bool:
        """Whether clients get the answers of what is live alone, of which a share is compared."""
        return bool(self.socket)

    @property
    def parts(self) -> int:
        """The candidate's share, of `FINEST` parts."""
        return parts_of(self.share)

    def __str__(self) -> str:
        """How messages list it."""
        verb = "are compared with" if self.is_shadow else "go to"
        return (
            f"{self.experiment}: {100 * self.share:.3g} % of {self.model} {verb} release "
            f"{self.candidate}"
        )

    def arm(self, key: str) -> ArmName:
        """The arm of a client's key."""
        return arm_of(unit_of(key, self.digest_key), self.share)


def parts_of(share: float) -> int:
    """A share of the traffic, of `FINEST` parts."""
    return round(share * FINEST)


def unit_of(key: str, digest_key: str) -> str:
    """The digest of a client's key, in hexadecimal digits."""
    return hmac.new(digest_key.encode(), key.encode(), hashlib.sha256).hexdigest()


def arm_of(unit: str, share: float) -> ArmName:
    """The arm of a client's digest, where the candidate has a share of the traffic."""
    return "candidate" if int(unit[:_DIGITS], 16) < parts_of(share) else "live"


@contextmanager
def announcing(repository: Repository, model: str) -> Iterator[Callable[[Split], None]]:
    """Say to the gateway how to split a model's traffic, as often as that changes in the block.

    What it is given raises `OSError` where the announcement cannot be written.
    """
    path = repository.state / "experiments" / model / _NAME
    pid = os.getpid()

    def announce(split: Split) -> None:
        record = {**asdict(split), "pid": pid, "started": start_time(pid)}
        write_text(path, json.dumps(record, indent=2) + "\n", _OWNER_ONLY)

    try:
        yield announce
    finally:
        path.unlink(missing_ok=True)


def splits_of(repository: Repository) -> tuple[Split, ...]:
    """The splits of a repository's models, of processes that live."""
    paths = sorted((repository.state / "experiments").glob(f"*/{_NAME}"))
    return tuple(found for path in paths if (found := _announced(path)) is not None)


def _announced(path: Path) -> Split | None:
    try:
        record = json.loads(read_regular(path))
        pid, started = record.pop("pid"), record.pop("started")
        found = Split(**{**record, "ports": Ports(**record["ports"])})
        return found if still_runs(pid, started) and _can_be(found) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _can_be(split: Split) -> bool:
    if not split.is_shadow:
        return 0 <= split.share < 1
    return 0 <= split.share <= 1 and len(os.fsencode(split.socket)) <= _LONGEST_SOCKET
