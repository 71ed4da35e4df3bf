"""One measured run, whichever tool made it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from loadtests.gates import Gate, exit_status

__all__ = ["Report", "Run", "StepTimes"]


@dataclass(frozen=True)
class StepTimes:
    """Means of a model's requests during a run, in milliseconds, by Triton's statistics.

    Each step of an ensemble has its own.
    """

    model: str
    version: str
    requests: int
    batch: float
    """Rows at once, on average: `inference_count / execution_count`; 0 for an ensemble."""
    queue_ms: float
    compute_input_ms: float
    compute_infer_ms: float
    compute_output_ms: float


@dataclass(frozen=True)
class Run:
    """One run against one target. Latencies are in milliseconds, times in seconds."""

    target: str
    protocol: str
    loop: Literal["open", "closed"]
    """Whether requests go out at scheduled times, or each after the answer to another."""
    load: str
    """A description: `200 requests/s` or `16 connections`."""
    seconds: float
    requests: int
    answered: int
    rate: float
    """Good answers per second."""
    latency_ms: Mapping[str, float]
    """`p50`, `p90`, `p95`, `p99`, `p999` and `max`, as far as the tool reports them."""
    rows: int = 1
    """Rows per request."""
    late_sends: float = 0.0
    """The share of requests that the generator sent late."""
    server_cpu_ms: float | None = None
    """CPU of the server and its children per request; `None` where it is on another machine."""
    generator_cpu_ms: float | None = None
    steps: Sequence[StepTimes] = ()
    invalid: str = ""
    """Why the run is invalid, or nothing."""
    gates: Sequence[Gate] = ()
    shows: str = ""
    """What the run says of its target, such as `the ceiling`; empty for one of many."""

    @property
    def exit_status(self) -> int:
        """0 where every gate holds, 1 where one fails, 2 where the run is invalid."""
        return exit_status(self.invalid, self.gates)


@dataclass(frozen=True)
class Report:
    """Runs that belong together, and their circumstances."""

    title: str
    command: str
    about: Mapping[str, str]
    """Circumstances by name: machine, versions, placement, payloads, seed, times."""
    runs: Sequence[Run]
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Conclusions from several runs, by name."""
    invalid: str = ""
    """Why nothing can be concluded from the runs together, or nothing."""
    gates: Sequence[Gate] = ()
    """SLOs on the conclusions from several runs."""

    @property
    def headline(self) -> Sequence[Run]:
        """The runs that say most: those that show something, or else the only one."""
        shown = [run for run in self.runs if run.shows]
        return shown or (self.runs if len(self.runs) == 1 else [])

    @property
    def exit_status(self) -> int:
        """The worst exit status of the runs and of the conclusions."""
        own = exit_status(self.invalid, self.gates)
        return max([own, *(run.exit_status for run in self.runs)])

    def json_text(self) -> str:
        """The report as JSON, `null` for infinity and NaN."""
        plain = _finite({**asdict(self), "exit_status": self.exit_status})
        return json.dumps(plain, indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
