"""What the machine and the server have counted until a moment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from loadtests.subject.machine import Moment
from loadtests.subject.service import Service
from loadtests.subject.steps import Reading, read_statistics
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import cpu_s

__all__ = ["Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """Clocks, the server's CPU seconds (0 where it is not on this machine), Triton's counts."""

    moment: Moment
    cpu_s: float
    statistics: Reading

    @classmethod
    def take(cls, service: Service, model: str) -> Snapshot:
        """Now. Of a server that does not answer, the counts are empty."""
        statistics: Reading = {}
        with suppress(TrimaranError):
            statistics = read_statistics(service.control, service.models(model))
        return cls(Moment.now(), cpu_s(service.pid) if service.pid else 0.0, statistics)
