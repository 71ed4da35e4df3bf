"""One thing that is wrong with a repository, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Problems", "Severity", "error", "note", "warning"]


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Triton refuses the model, or takes it for something else than was meant."""
    WARNING = "warning"
    """Triton lets it through, and it is regretted later."""
    NOTE = "note"
    """Worth knowing, and nothing wrong."""


@dataclass(frozen=True)
class Finding:
    """What was found, in which field, and the remedy; `model` and `file` say where.

    `field` is the path within a configuration (`input.x.dims`) or empty, `file` the path below the
    repository. Rules leave `model` and `file` empty where they only see a configuration.
    """

    severity: Severity
    field: str
    found: str
    remedy: str
    model: str = ""
    file: str = ""

    @property
    def sentence(self) -> str:
        """What was found and what to do, in one sentence."""
        return f"{self.found}; {self.remedy}" if self.remedy else self.found


Problems = Iterator[Finding]


def error(field: str, found: str, remedy: str, file: str = "") -> Finding:
    """What Triton refuses."""
    return Finding(Severity.ERROR, field, found, remedy, file=file)


def warning(field: str, found: str, remedy: str, file: str = "") -> Finding:
    """What Triton lets through and users regret."""
    return Finding(Severity.WARNING, field, found, remedy, file=file)


def note(field: str, found: str, remedy: str, file: str = "") -> Finding:
    """What is worth knowing."""
    return Finding(Severity.NOTE, field, found, remedy, file=file)
