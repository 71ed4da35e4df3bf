"""Live accuracy: how good each release is by known outcomes, and whether it fell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from monitoring.measures import ALLOWED_FALLS, Measured, allowed, loss_of, measured
from monitoring.prometheus_api import Prometheus, Sample
from monitoring.queries import query
from trimaran.stats.intervals import Estimate

__all__ = [
    "ACCURACY_WINDOW",
    "COLUMNS",
    "LEAST_OUTCOMES",
    "MEANING",
    "Figure",
    "ReleaseAccuracy",
    "evaluate_releases",
    "lines_of",
    "releases",
]

LEAST_OUTCOMES = 50
"""With fewer outcomes the verdict is `too few`."""

Verdict = Literal["fell", "holds", "unsure", "too few", "no reference"]

ACCURACY_WINDOW = "1d"
"""The window of the recorded series and the alerts, and the default."""
_LARGE = 1_000
"""Such a number has no decimals."""
_QUERIES = ("outcomes", "reference_outcomes", "calibration_error", "brier")

COLUMNS = ("figure", "live", "95 %", "test part", "worse by", "95 %")
MEANING = (
    "fell: the whole 95 % interval of how much worse a figure is than the test part's is above "
    + " or ".join(f"{most:g} ({name})" for name, most in ALLOWED_FALLS.items() if name != "MAE")
    + f" or {ALLOWED_FALLS['MAE']:.0%} of it (MAE); "
    + f"a verdict needs at least {LEAST_OUTCOMES} outcomes"
)


@dataclass(frozen=True)
class Figure:
    """One measure of decisions; None where it cannot be computed."""

    live: Estimate | None
    reference: Estimate | None
    """The test part's, when the model was trained."""
    fall: Estimate | None
    """How much worse `live` is than `reference`."""


@dataclass(frozen=True)
class ReleaseAccuracy:
    """One release of a model, by the outcomes that were sent in the window."""

    model: str
    version: str
    outcomes: float
    figures: Mapping[str, Figure]
    """By name, such as `accuracy` and `F1`: see `measures`."""
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

    Concept drift is a loss of a figure whose whole interval is above the allowed one.
    """
    live, reference = (_cells(answers[name]) for name in ("outcomes", "reference_outcomes"))
    calibration, brier = (
        {_release(sample): sample.value for sample in answers[name]}
        for name in ("calibration_error", "brier")
    )
    found = []
    for release, cells in sorted(live.items()):
        found_live = measured(cells)
        if found_live.outcomes:
            expected = reference.get(release)
            figures = _figures(found_live, measured(expected) if expected else None)
            found.append(
                ReleaseAccuracy(
                    *release,
                    found_live.outcomes,
                    figures,
                    calibration.get(release),
                    brier.get(release),
                    _verdict(found_live.outcomes, figures),
                )
            )
    return found


def _figures(live: Measured, reference: Measured | None) -> dict[str, Figure]:
    ours = live.figures
    theirs = reference.figures if reference else dict.fromkeys(ours)
    return {
        name: Figure(found, theirs[name], loss_of(name, found, theirs[name]))
        for name, found in ours.items()
    }


def _verdict(outcomes: float, figures: Mapping[str, Figure]) -> Verdict:
    if outcomes < LEAST_OUTCOMES:
        return "too few"
    falls = [(each.fall, allowed(name, each.reference)) for name, each in figures.items()]
    known = [(found, most) for found, most in falls if found is not None and most is not None]
    if not known:
        return "no reference"
    if any(found.low > most for found, most in known):
        return "fell"
    return "unsure" if any(found.high > most for found, most in known) else "holds"


def _cells(samples: Sequence[Sample]) -> dict[tuple[str, str], dict[str, float]]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for sample in samples:
        found.setdefault(_release(sample), {})[sample.labels.get("cell", "")] = sample.value
    return found


def _release(sample: Sample) -> tuple[str, str]:
    return sample.labels.get("model", ""), sample.labels.get("version", "")


def lines_of(release: ReleaseAccuracy) -> list[tuple[str, ...]]:
    """A line under `COLUMNS` for each figure; unknown values are empty."""
    lines: list[tuple[str, ...]] = [
        (
            name,
            *_with_interval(figure.live),
            "" if figure.reference is None else _shown(figure.reference.value),
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
    return _shown(found.value), f"{_shown(found.low)} to {_shown(found.high)}"


def _shown(value: float) -> str:
    return f"{value:.3f}" if abs(value) < _LARGE else f"{value:,.0f}"
