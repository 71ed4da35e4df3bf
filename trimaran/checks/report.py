"""The verdict on a repository: every finding, in a stable order, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trimaran.checks.finding import Finding, Severity

__all__ = ["Report"]

_ORDER = list(Severity)


@dataclass(frozen=True)
class Report:
    """What was judged and what was found; `unserved` are models without a version yet."""

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
        """The same for programs."""
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
