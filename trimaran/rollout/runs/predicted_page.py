"""The page on what a persisted run says of new data, in blocks that all families share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trimaran.pages.page import Cell, Kind, Page, badge, facts, table, text
from trimaran.training.drift import Moved
from trimaran.training.run_directory import RunDirectory
from trimaran.training.tabular.wording import shown

__all__ = ["Result", "drift", "notes_on", "predicted_page", "result"]

_KINDS: Mapping[str, Kind] = {
    "drift": "error",
    "absent": "error",
    "unsure": "warning",
    "stable": "good",
}


@dataclass(frozen=True)
class Result:
    """Scores of new data, beside those of the run's own test part."""

    what: str
    """What is predicted, such as `texts`."""
    count: int
    known: int
    """How many have a known outcome."""
    metric: str
    """The main one, as people call it."""
    scores: Mapping[str, tuple[float, float]]
    """By metric, as people call it: now, and on the test part; empty where none is scored."""
    interval: tuple[float, float] | None = None
    """Of the main metric, 95 %."""
    trained: Sequence[float] | None = None
    """That of the run's own test part."""
    less_is_better: bool = False


def predicted_page(name: str, run: RunDirectory, source: str) -> Page:
    """The page of the run of `name` on data from `source`, still empty."""
    return Page(
        f"{name}: predictions of the persisted {run.metrics()['model']}",
        f"nothing was fitted; {run.directory.name} predicted {source}",
    )


def result(found: Result) -> list[Markup]:
    """The scores, or why there are none."""
    rows: list[tuple[str, Cell]] = [(found.what, found.count), ("with an outcome", found.known)]
    if found.interval is None:
        why = "of too few kinds, or too few, " if found.known else "not known, "
        said = f"The outcomes are {why}so the predictions are not scored."
        return [facts(rows), text(said, "warning")]
    low, high = found.interval
    now, before = found.scores[found.metric]
    trained = found.trained or (before, before)
    rows += [
        (found.metric, shown(now)),
        ("95 % interval", f"{shown(low)}\N{EN DASH}{shown(high)}"),
        (f"{found.metric} when trained", shown(before)),
        ("95 % interval", f"{shown(trained[0])}\N{EN DASH}{shown(trained[1])}"),
    ]
    cells = [(name, *pair) for name, pair in found.scores.items()]
    headers = ["metric", f"these {found.what}", "test part of training"]
    return [facts(rows), _verdict(found, (low, high), trained), table(headers, cells)]


def drift(moved: Iterable[Moved], of: str = "the training part") -> list[Markup]:
    """How far each feature moved, `of` being what from."""
    return [
        text(
            f"The population stability index of each feature against {of}, less the part that "
            "chance explains; above 0.2 by its whole 95 % interval is drift."
        ),
        table(["feature", "verdict", "index", "95 %", "moved most"], map(_moved, moved)),
    ]


def notes_on(notes: Sequence[str], what: str) -> list[Markup]:
    """What is to be known of the data, or that all of `what` is predicted."""
    if notes:
        return [text(note, "warning") for note in notes]
    return [text(f"All {what} are predicted.")]


def _verdict(found: Result, now: tuple[float, float], trained: Sequence[float]) -> Markup:
    worse = now[0] > trained[1] if found.less_is_better else now[1] < trained[0]
    if worse:
        return text(
            f"By {found.metric} it is worse than when it was trained: the intervals do not meet.",
            "warning",
        )
    return text(
        f"The intervals do not say that it is worse than when it was trained ({found.metric})."
    )


def _moved(one: Moved) -> Sequence[Cell]:
    low, high = one.interval
    known = one.index is not None
    return (
        one.feature,
        badge(one.verdict, _KINDS.get(one.verdict, "plain")),
        one.index,
        f"{low:.3f} to {high:.3f}" if known else "",
        one.bin,
    )
