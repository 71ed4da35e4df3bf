"""The page on what a persisted run says of new rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from trimaran.pages.page import Cell, Kind, Page, badge, facts, table, text
from trimaran.training.tabular.runs.frozen import Moved, Scored
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.tabular.wording import shown

__all__ = ["predicted_page"]

_KINDS: Mapping[str, Kind] = {
    "drift": "error",
    "absent": "error",
    "unsure": "warning",
    "stable": "good",
}


def predicted_page(run: TrainedRun, scored: Scored, notes: Sequence[str]) -> str:
    """The page as HTML."""
    page = Page(
        f"{run.name}: predictions of the persisted {run.metrics()['model']}",
        f"nothing was fitted; {run.directory.name} predicted {scored.dataset.source}",
    )
    page.section("Result", *_result(run, scored))
    page.section("Drift from the training part", *_drift(scored))
    page.section("Groups of rows", *_groups(scored))
    page.section("Data", *(text(note, "warning") for note in notes), _data(scored))
    return page.html()


def _result(run: TrainedRun, scored: Scored) -> list[Markup]:
    task, before = scored.dataset.schema.task, run.metrics()["test"]
    rows: list[tuple[str, Cell]] = [
        ("rows", len(scored.predictions)),
        ("with an outcome", int(scored.known.sum())),
    ]
    if scored.scores is None or scored.interval is None:
        why = "of too few kinds, or too few, " if scored.known.any() else "not in this table, "
        said = f"The outcomes are {why}so the predictions are not scored."
        return [facts(rows), text(said, "warning")]
    low, high = scored.interval
    now = scored.scores.as_dict()
    rows += [
        (task.title, shown(now[task.main])),
        ("95 % interval", f"{shown(low)}\N{EN DASH}{shown(high)}"),
        (f"{task.title} when trained", shown(before[task.main])),
    ]
    cells = [(name, now[key], before[key]) for key, name in task.metrics.items() if key in now]
    verdict = _verdict(run, scored, (low, high))
    return [facts(rows), verdict, table(["metric", "these rows", "test part of training"], cells)]


def _verdict(run: TrainedRun, scored: Scored, interval: tuple[float, float]) -> Markup:
    task = scored.dataset.schema.task
    before = float(run.metrics()["test"][task.main])
    best = max(map(task.goodness, interval))
    if best < task.goodness(before):
        said = f"By {task.title} it is worse than on its own test part, by the whole interval."
        return text(said, "warning")
    return text(
        f"The interval does not say that it is worse than when it was trained ({task.title})."
    )


def _drift(scored: Scored) -> list[Markup]:
    return [
        text(
            "The population stability index of each feature, less the part that chance explains; "
            "above 0.2 by its whole 95 % interval is drift."
        ),
        table(["feature", "verdict", "index", "95 %", "moved most"], map(_moved, scored.drift)),
    ]


def _moved(one: Moved) -> tuple[Cell, ...]:
    low, high = one.interval
    known = one.index is not None
    return (
        one.feature,
        badge(one.verdict, _KINDS.get(one.verdict, "plain")),
        one.index,
        f"{low:.3f} to {high:.3f}" if known else "",
        one.bin,
    )


def _groups(scored: Scored) -> list[Markup]:
    if not scored.segments:
        return [text("No group of rows has outcomes to score.")]
    names = scored.dataset.schema.task.metrics
    scores = list(scored.segments[0].scores)
    rows = [
        (
            one.field,
            one.group,
            one.rows,
            *one.scores.values(),
            badge("few", "warning") if one.small else "",
        )
        for one in scored.segments
    ]
    titles = [names.get(each, each.replace("_", " ")) for each in scores]
    return [table(["field", "group", "rows", *titles, "sample"], rows)]


def _data(scored: Scored) -> Markup:
    frame: Any = scored.dataset.frame
    rows = [(str(name), int(frame[name].isna().sum())) for name in frame.columns]
    return table(["column", "missing"], rows)
