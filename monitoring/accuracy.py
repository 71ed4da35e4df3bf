"""Live accuracy: how good each release is by known outcomes, and whether it fell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from monitoring.prometheus_api import Prometheus, Sample
from monitoring.queries import query
from trimaran.served.outcomes import CELLS
from trimaran.stats.intervals import Estimate, f1_score, fall, share

__all__ = [
    "ACCURACY_WINDOW",
    "ALLOWED_FALLS",
    "COLUMNS",
    "LEAST_OUTCOMES",
    "MEANING",
    "Figure",
    "ReleaseAccuracy",
    "evaluate_releases",
    "lines_of",
    "releases",
]

ALLOWED_FALLS: Mapping[str, float] = {"accuracy": 0.02, "F1": 0.05}
"""How far each may be below the test part's."""
LEAST_OUTCOMES = 50
"""With fewer outcomes the verdict is `too few`."""

Verdict = Literal["fell", "holds", "unsure", "too few", "no reference"]
Cells = Mapping[str, float]
"""Rows by each of `CELLS`."""

ACCURACY_WINDOW = "1d"
"""The window of the recorded series and the alerts, and the default."""
_QUERIES = ("outcomes", "reference_outcomes", "calibration_error", "brier")

COLUMNS = ("figure", "live", "95 %", "test part", "fall", "95 %")
MEANING = (
    "fell: the whole 95 % interval of how far a figure is below the test part's is above "
    + " or ".join(f"{most:g} ({name})" for name, most in ALLOWED_FALLS.items())
    + f"; a verdict needs at least {LEAST_OUTCOMES} outcomes"
)


@dataclass(frozen=True)
class Figure:
    """One measure of decisions; None where it cannot be computed."""

    live: Estimate | None
    reference: Estimate | None
    """The test part's, when the model was trained."""
    fall: Estimate | None
    """How far `live` is below `reference`."""


@dataclass(frozen=True)
class ReleaseAccuracy:
    """One release of a model, by the outcomes that were sent in the window."""

    model: str
    version: str
    outcomes: float
    figures: Mapping[str, Figure]
    """`accuracy`, `precision`, `recall` and `F1`."""
    calibration_error: float | None
    """The distance of probabilities from shares, averaged over the rows of ten bins."""
    brier: float | None
    """The mean squared error of the probability."""
    verdict: Verdict


def releases(source: Prometheus, window: str) -> list[ReleaseAccuracy]:
    """Each release by the outcomes of the window before now. Raises `TrimaranError`."""
    at_s = source.now_s()
    return evaluate_releases({name: source.instant(query(name, window), at_s) for name in _QUERIES})


def evaluate_releases(answers: Mapping[str, Sequence[Sample]]) -> list[ReleaseAccuracy]:
    """Releases from the samples of the queries `outcomes`, `reference_outcomes`,
    `calibration_error` and `brier`, by those names.

    Concept drift is a fall of accuracy or F1 whose whole interval is above the allowed fall.
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
                ReleaseAccuracy(
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
        found.setdefault(_release(sample), empty)[sample.labels.get("cell", "")] = sample.value
    return found


def _release(sample: Sample) -> tuple[str, str]:
    return sample.labels.get("model", ""), sample.labels.get("version", "")


def lines_of(release: ReleaseAccuracy) -> list[tuple[str, ...]]:
    """A line under `COLUMNS` for each figure; unknown values are empty."""
    lines: list[tuple[str, ...]] = [
        (
            name,
            *_with_interval(figure.live),
            "" if figure.reference is None else f"{figure.reference.value:.3f}",
            *_with_interval(figure.fall),
        )
        for name, figure in release.figures.items()
    ]
    for name, value in (
        ("calibration error", release.calibration_error),
        ("Brier score", release.brier),
    ):
        if value is not None:
            lines.append((name, f"{value:.3f}", "", "", "", ""))
    return lines


def _with_interval(found: Estimate | None) -> tuple[str, str]:
    if found is None:
        return "", ""
    return f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}"
