"""What a shadow has found, as a part of an experiment's page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from trimaran.pages.page import Cell, facts, table, text
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.shadow.found import Example, Found
from trimaran.stats.anytime_quantiles import quantile

__all__ = ["answers_section"]

_LONGEST = 300


def answers_section(found: Found, live: Observed, candidate: Observed) -> Iterator[Markup]:
    """Agreement by output, the candidate's errors, latencies and the worst disagreements."""
    yield facts(
        [
            ("requests compared", candidate.compared),
            ("answers that agree", candidate.agreed),
            ("dropped, not compared", found.dropped),
        ]
    )
    if found.dropped:
        yield text(
            f"{found.dropped:,} of {found.answered:,} requests were not compared: they came faster "
            "than the candidate is asked, or are larger than 2 MB. A smaller --share drops fewer.",
            "warning",
        )
    yield table(
        ["output", "compared", "agree", "agree, %", "largest distance"],
        [
            [
                name,
                each.compared,
                each.agreed,
                f"{100 * each.agreed / each.compared:.2f}",
                _number(each.largest),
            ]
            for name, each in found.outputs.items()
        ],
    )
    yield text(
        f"Numbers agree where they differ by at most {found.tolerance:g} and {found.tolerance:g} "
        "times the absolute value of live's. Whole numbers, labels and texts agree where they are "
        "equal. A distance is the largest absolute difference in one answer."
    )
    if found.errors:
        yield table(
            ["error of the candidate where live answered", "requests"],
            [[error, count] for error, count in _often(found.errors)],
        )
    yield table(
        ["arm", "p50, ms", "p99, ms"],
        [_latencies("live", live), _latencies("candidate", candidate)],
    )
    yield text(
        "These are not compared in the verdict. Live's is what the gateway waited for the answer, "
        "with what the request waited in its limits. The candidate's is what the process that "
        "compares waited, with its own work and that of at most four requests at once."
    )
    yield from _worst(found)


def _often(errors: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(errors.items(), key=lambda each: -each[1])


def _worst(found: Found) -> Iterator[Markup]:
    if not found.worst:
        yield text("No two answers disagreed.", "good")
        return
    inputs = any(each.inputs is not None for each in found.worst)
    yield text(f"The worst {len(found.worst)} disagreements:")
    yield table(
        ["request", "distance", "live", "candidate", *(["inputs"] if inputs else [])],
        [_example(each, inputs=inputs) for each in found.worst],
    )


def _example(example: Example, *, inputs: bool) -> list[Cell]:
    wrong = list(example.distances)
    cells: list[Cell] = [
        example.id,
        ", ".join(f"{name} {_number(each)}" for name, each in example.distances.items()),
        _shown(example.live, wrong),
        _shown(example.candidate, wrong),
    ]
    return cells + ([_shown(example.inputs or {}, example.inputs or ())] if inputs else [])


def _shown(values: Mapping[str, Any], names: Any) -> str:
    """The values of some tensors, short."""
    said = "; ".join(
        f"{name} {json.dumps([_rounded(each) for each in values[name]], ensure_ascii=False)}"
        if name in values
        else f"{name} is missing"
        for name in names
    )
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _number(value: float | None) -> str:
    if value is None:
        return "not a number"
    return f"{value:.3g}" if math.isfinite(value) else "unbounded"


def _latencies(arm: str, seen: Observed) -> list[Cell]:
    return [arm, *(1000 * quantile(seen.latencies, each, 0.05).value for each in (0.5, 0.99))]
