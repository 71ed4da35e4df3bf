"""What was found on a GPU: lines of JSON that each step leaves, also where it is ended early."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Findings", "Outcome", "Served", "Step", "keep", "read"]


@dataclass(frozen=True)
class Step:
    """What ran, or had to; `problem` is empty where it held."""

    name: str
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Outcome:
    """A test; `outcome` is empty where it was chosen and had none before the end."""

    test: str
    outcome: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Served:
    """EfficientNet-Lite0 in one format; without figures where `refused` says why.

    `rate` is in requests per second, `p50_ms` and `p99_ms` are latencies, and `gpu_mb` is what its
    server took of the GPU's memory.
    """

    format: str
    refused: str = ""
    rate: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    gpu_mb: float = 0.0


@dataclass(frozen=True)
class Findings:
    """All of a run. `machine` has names of the GPU and of versions."""

    machine: Mapping[str, str]
    day: str
    steps: Sequence[Step]
    tests: Sequence[Outcome] = ()
    formats: Sequence[Served] = ()


def keep(file: Path, found: Outcome | Served) -> None:
    """Append a line."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(found)) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """The whole lines of a file, which may not exist; the last may be cut short."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]
