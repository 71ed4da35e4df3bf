"""A judged release as text, for a terminal and for a page."""

from __future__ import annotations

from monitoring.accuracy.judging import ALLOWED_FALLS, LEAST_OUTCOMES, Judged
from trimaran.stats.intervals import Estimate

__all__ = ["COLUMNS", "MEANING", "lines_of"]

COLUMNS = ("figure", "live", "95 %", "test part", "fall", "95 %")
MEANING = (
    "fell: the whole 95 % interval of how far a figure is below the test part's is above "
    + " or ".join(f"{most:g} ({name})" for name, most in ALLOWED_FALLS.items())
    + f"; at least {LEAST_OUTCOMES} outcomes are needed to tell"
)


def lines_of(judged: Judged) -> list[tuple[str, ...]]:
    """A line under `COLUMNS` for each figure; what is not known is empty."""
    lines: list[tuple[str, ...]] = [
        (
            name,
            *_with_interval(figure.live),
            "" if figure.reference is None else f"{figure.reference.value:.3f}",
            *_with_interval(figure.fall),
        )
        for name, figure in judged.figures.items()
    ]
    for name, value in (
        ("calibration error", judged.calibration_error),
        ("Brier score", judged.brier),
    ):
        if value is not None:
            lines.append((name, f"{value:.3f}", "", "", "", ""))
    return lines


def _with_interval(found: Estimate | None) -> tuple[str, str]:
    if found is None:
        return "", ""
    return f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}"
