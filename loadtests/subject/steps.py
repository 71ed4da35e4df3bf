"""Where a model's time goes, by the difference of two readings of Triton's statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loadtests.reports.run import StepTimes
from trimaran.serving.control import Control

__all__ = ["Reading", "read_statistics", "steps_between"]

Reading = Mapping[tuple[str, str], Mapping[str, Any]]
"""Triton's statistics by model and version."""

_PARTS = ("queue", "compute_input", "compute_infer", "compute_output")


def read_statistics(control: Control, models: Iterable[str]) -> Reading:
    """Triton's statistics of these models until now."""
    return {
        (name, entry["version"]): entry for name in models for entry in control.statistics(name)
    }


def steps_between(before: Reading, after: Reading) -> list[StepTimes]:
    """Means over the requests between two readings, in the order of the later one.

    Versions without a request between them are left out. A version with a lower count than
    before was reloaded, and is counted from 0.
    """
    steps = []
    for (model, version), entry in after.items():
        earlier: Mapping[str, Any] = before.get((model, version), {})
        if _count(entry) < _count(earlier):
            earlier = {}
        requests = _count(entry) - _count(earlier)
        if requests <= 0:
            continue
        executions = _number(entry, "execution_count") - _number(earlier, "execution_count")
        rows = _number(entry, "inference_count") - _number(earlier, "inference_count")
        times = [_ns(entry, part) - _ns(earlier, part) for part in _PARTS]
        # Triton counts the executions of an ensemble too, which are not batches.
        batch = rows / executions if executions and any(times[1:]) else 0.0
        queue, compute_input, infer, output = (ns / requests / 1e6 for ns in times)
        steps.append(
            StepTimes(model, version, requests, batch, queue, compute_input, infer, output)
        )
    return steps


def _count(entry: Mapping[str, Any]) -> int:
    return int(entry.get("inference_stats", {}).get("success", {}).get("count", 0))


def _ns(entry: Mapping[str, Any], part: str) -> int:
    return int(entry.get("inference_stats", {}).get(part, {}).get("ns", 0))


def _number(entry: Mapping[str, Any], name: str) -> int:
    return int(entry.get(name, 0))
