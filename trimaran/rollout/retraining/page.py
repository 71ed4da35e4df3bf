"""The report on a retrained run: what it passed, and how it compares with the live one."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from trimaran.pages.page import Kind, Page, badge, facts, table, text
from trimaran.rollout.retraining.judging import Judgement

__all__ = ["comparison_page"]

_KINDS: Mapping[str, Kind] = {
    "falls": "error",
    "unsure": "warning",
    "holds": "good",
    "few": "plain",
}


def comparison_page(run: str, why: str, judged: Judgement) -> str:
    """The page as HTML. `why` says why the run was trained."""
    page = Page(f"{run} beside {judged.live}", f"trained again: {why}")
    page.section("Gates", *_gates(judged))
    page.section(f"{judged.metric} on the same rows", *_comparison(judged))
    page.section("Groups of rows", *_groups(judged))
    return page.html()


def _gates(judged: Judgement) -> list[Markup]:
    failed = ", ".join(judged.failed)
    said = f"It does not pass: {failed}." if failed else "It passes every gate."
    rows = [
        (
            gate.name,
            badge("passed", "good") if gate.passed else badge("failed", "error"),
            gate.says,
        )
        for gate in judged.gates
    ]
    return [text(said, "error" if failed else "good"), table(["gate", "result", "found"], rows)]


def _comparison(judged: Judgement) -> list[Markup]:
    found = judged.comparison
    gain = found.gain
    shown = facts(
        [
            ("new run", found.new),
            (judged.live, found.live),
            ("in favour of the new one", gain.value if gain else None),
            ("from", gain.low if gain else None),
            ("to", gain.high if gain else None),
            ("rows", found.rows),
        ]
    )
    return [
        shown,
        text(
            "Both runs answered the same rows of the new run's test part. The 95 % interval is of "
            "the difference, by resamples of rows that are the same for both."
        ),
        text(_left_out(judged), "plain" if judged.told_by else "warning"),
    ]


def _left_out(judged: Judgement) -> str:
    if not judged.told_by:
        return (
            f"Nothing tells which rows {judged.live} was fitted to: the table has neither "
            "identifiers nor a time. It may know some of these rows, which favours it."
        )
    return (
        f"{judged.left_out} rows of the test part, to which {judged.live} was fitted, do not "
        f"count; they are told by {judged.told_by}."
    )


def _groups(judged: Judgement) -> list[Markup]:
    if not judged.slices:
        return [text("The table has no groups to compare.")]
    rows = [
        (
            each.field,
            each.group,
            each.rows,
            each.gain.value if each.gain else None,
            each.gain.low if each.gain else None,
            each.gain.high if each.gain else None,
            badge("too few rows" if each.word == "few" else each.word, _KINDS[each.word]),
        )
        for each in judged.slices
    ]
    headers = ["field", "group", "rows", "in favour of the new run", "from", "to", "verdict"]
    return [table(headers, rows)]
