"""A `tritonserver` and what it must be started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Runtime"]


@dataclass(frozen=True)
class Runtime:
    """An executable and what it must be started with."""

    executable: Path
    stub_backends: tuple[str, ...] = ("python",)
    """The backends whose models run in Python stub processes."""
    version: str = ""
    embedded: bool = False
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
