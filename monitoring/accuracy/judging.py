"""Counts of outcomes become a finding for each release: how good it is, and whether it fell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from monitoring.asking import Sample
from trimaran.served.outcomes import CELLS
from trimaran.stats.intervals import Estimate, f1_score, fall, share

__all__ = ["ALLOWED_FALLS", "LEAST_OUTCOMES", "Figure", "Judged", "judge_releases"]

ALLOWED_FALLS: Mapping[str, float] = {"accuracy": 0.02, "F1": 0.05}
"""So far below the test part's may they be."""
LEAST_OUTCOMES = 50
"""With fewer, nothing is said."""

Verdict = Literal["fell", "holds", "unsure", "too few", "no reference"]
Cells = Mapping[str, float]
"""Rows by each of `CELLS`."""


@dataclass(frozen=True)
class Figure:
    """One measure of decisions; what cannot be told is None."""

    live: Estimate | None
    reference: Estimate | None
    """Of the test part, when the model was trained."""
    fall: Estimate | None
    """How far the first is below the second."""


@dataclass(frozen=True)
class Judged:
    """One release of a model, by the outcomes that were told in the window."""

    model: str
    version: str
    outcomes: float
    figures: Mapping[str, Figure]
    """`accuracy`, `precision`, `recall` and `F1`."""
    calibration_error: float | None
    """How far probabilities are from shares, over ten bins of the probability, by their rows."""
    brier: float | None
    """The mean squared error of the probability."""
    verdict: Verdict


def judge_releases(answers: Mapping[str, Sequence[Sample]]) -> list[Judged]:
    """`answers` has the samples of the queries `outcomes`, `reference_outcomes`,
    `calibration_error` and `brier` by those names.

    Concept drift is a fall of accuracy or F1 whose whole interval is beyond what is allowed.
    """
    live, reference = (_cells(answers[name]) for name in ("outcomes", "reference_outcomes"))
    calibration, brier = (
        {_release(sample): sample.value for sample in answers[name]}
        for name in ("calibration_error", "brier")
    )
    found = []
    for release, cells in sorted(live.items()):
        outcomes = sum(cells.values())
        if outcomes:
            figures = _figures(cells, reference.get(release))
            found.append(
                Judged(
                    *release,
                    outcomes,
                    figures,
                    calibration.get(release),
                    brier.get(release),
                    _verdict(outcomes, figures),
                )
            )
    return found


def _figures(live: Cells, reference: Cells | None) -> dict[str, Figure]:
    ours = _measures(live)
    theirs = _measures(reference) if reference else dict.fromkeys(ours)
    return {
        name: Figure(found, theirs[name], fall(found, theirs[name])) for name, found in ours.items()
    }


def _measures(cells: Cells) -> dict[str, Estimate | None]:
    right, wrong = cells["true_positive"], cells["false_positive"]
    missed = cells["false_negative"]
    return {
        "accuracy": share(right + cells["true_negative"], sum(cells.values())),
        "precision": share(right, right + wrong),
        "recall": share(right, right + missed),
        "F1": f1_score(right, wrong, missed),
    }


def _verdict(outcomes: float, figures: Mapping[str, Figure]) -> Verdict:
    if outcomes < LEAST_OUTCOMES:
        return "too few"
    falls = [(figures[name].fall, most) for name, most in ALLOWED_FALLS.items()]
    known = [(found, most) for found, most in falls if found is not None]
    if not known:
        return "no reference"
    if any(found.low > most for found, most in known):
        return "fell"
    return "unsure" if any(found.high > most for found, most in known) else "holds"


def _cells(samples: Sequence[Sample]) -> dict[tuple[str, str], dict[str, float]]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for sample in samples:
        empty = dict.fromkeys(CELLS, 0.0)
        found.setdefault(_release(sample), empty)[sample.labels["cell"]] = sample.value
    return found


def _release(sample: Sample) -> tuple[str, str]:
    return sample.labels["model"], sample.labels["version"]
