"""A query of the catalogue, and what many of them share."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

__all__ = ["MODEL", "Query", "rate"]

MODEL = ("model", "version")


@dataclass(frozen=True)
class Query:
    """A query to Prometheus."""

    name: str
    title: str
    promql: str
    unit: str
    """`requests/s`, `rows/s`, `s`, `ratio`, `rows`, `requests`, `cores`, `bytes` or `1`."""
    meaning: str
    labels: tuple[str, ...] = MODEL
    section: str = "Requests"
    """Its section in docs/monitoring.md."""
    reported: bool = True
    """Whether `trimaran monitor report` sends it."""

    def over(self, window: str) -> str:
        """The PromQL for a window such as `5m`."""
        return Template(self.promql).substitute(window=window)


def rate(metric: str, by: str = "model, version") -> str:
    """How much a counter grows in a second, over the window."""
    return f"sum by ({by}) (rate({metric}[$window]))"
