"""A finding about a repository, its severity and remedy, and the report of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Finding", "Problems", "Report", "Severity", "error", "note", "warning"]


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Triton refuses the model, or reads it differently than intended."""
    WARNING = "warning"
    """Triton accepts it, and it causes trouble later."""
    NOTE = "note"
    """Worth knowing; nothing is wrong."""


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
    """What Triton accepts and what causes trouble later."""
    return Finding(Severity.WARNING, field, found, remedy, file=file)


def note(field: str, found: str, remedy: str, file: str = "") -> Finding:
    """What is worth knowing."""
    return Finding(Severity.NOTE, field, found, remedy, file=file)


_ORDER = list(Severity)


@dataclass(frozen=True)
class Report:
    """The checked models and the findings; `unserved` are models without a version yet."""

    repository: str
    models: tuple[str, ...]
    findings: tuple[Finding, ...]
    unserved: tuple[str, ...] = ()

    def count(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(1 for finding in self.findings if finding.severity is severity)

    @property
    def closing(self) -> str:
        """The count of all that was found."""
        parts = [
            f"{count} {word}{'' if count == 1 else 's'}"
            for word, count in (
                ("error", self.count(Severity.ERROR)),
                ("warning", self.count(Severity.WARNING)),
            )
            if count
        ]
        if not self.count(Severity.ERROR):
            parts.insert(0, "no errors")
        if self.unserved:
            parts.append(f"{len(self.unserved)} without a version yet")
        models = f"{len(self.models)} model{'' if len(self.models) == 1 else 's'}"
        return f"{models}: {', '.join(parts)}"

    def lines(self) -> Iterator[str]:
        """One line a finding, below its model, the worst first; the count comes last."""
        for model in ("", *self.models):
            found = [finding for finding in self.findings if finding.model == model]
            if found and model:
                yield model
            for finding in sorted(found, key=lambda f: _ORDER.index(f.severity)):
                place = finding.file + (f": {finding.field}" if finding.field else "")
                yield f"  {finding.severity:<8} {place + ': ' if place else ''}{finding.sentence}"
        yield self.closing

    def record(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "repository": self.repository,
            "models": list(self.models),
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "without_version": list(self.unserved),
            "findings": [
                {
                    "severity": str(finding.severity),
                    "model": finding.model,
                    "file": finding.file,
                    "field": finding.field,
                    "found": finding.found,
                    "remedy": finding.remedy,
                }
                for finding in self.findings
            ],
        }
