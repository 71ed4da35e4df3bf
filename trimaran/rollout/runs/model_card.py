"""The model card of a run that goes live: one content, as Markdown and as a page.

M. Mitchell et al., "Model Cards for Model Reporting" (2019), says what such a card is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimaran.pages.page import Page, table, text
from trimaran.repository.repository import Repository
from trimaran.rollout.ledger import Entry
from trimaran.rollout.runs.checklist import ITEMS
from trimaran.rollout.runs.families.known import figures_of, readiness_of
from trimaran.rollout.runs.figures import Figures
from trimaran.rollout.runs.readiness import Readiness
from trimaran.rollout.runs.run import Run
from trimaran.rollout.runs.served import Served, onnx_of, served_by
from trimaran.rollout.runs.story import canary_text
from trimaran.rollout.runs.training import estimator_of, folder_in, path_in
from trimaran.system.files import write_text

__all__ = [
    "CARD",
    "Card",
    "Section",
    "as_html",
    "as_markdown",
    "card_of",
    "remove_card",
    "write_card",
]

_MOST_FIELDS = 25
Row = Sequence[str]


@dataclass(frozen=True)
class Section:
    """Paragraphs, and a table below them."""

    title: str
    lines: Sequence[str] = ()
    headers: Row = ()
    rows: Sequence[Row] = ()


CARD = "model_card.md"
"""The card as Markdown, in the run's folder; the page lies beside it."""


@dataclass(frozen=True)
class Card:
    """What both forms show."""

    title: str
    subtitle: str
    sections: Sequence[Section]


def write_card(repository: Repository, run: Run) -> Path:
    """Write `model_card.md` and `model_card.html` beside the run's data report; the first of them.

    Raises `TrimaranError` where a file of the run is gone.
    """
    trained = figures_of(estimator_of(repository, run).directory)
    directory = path_in(repository, str(run.outcome["directory"]))
    new = figures_of(directory) if run.predicts_with else None
    folder = folder_in(repository, run)
    ready = readiness_of(estimator_of(repository, run).directory, onnx_of(repository, run))
    ready.write(folder)
    served = [_version(each) for each in served_by(repository, run)]
    card = card_of(run, trained, new, ready, served)
    write_text(folder / "model_card.html", as_html(card))
    path = folder / CARD
    write_text(path, as_markdown(card))
    return path


def remove_card(path: Path) -> None:
    """Remove a card that `write_card` wrote, of a run that did not become live."""
    for each in (path, path.with_suffix(".html")):
        each.unlink(missing_ok=True)


def card_of(
    run: Run, trained: Figures, new: Figures | None, ready: Readiness, served: Sequence[Row]
) -> Card:
    """The card of a run.

    `trained` are the figures of its estimator, and `new` those of the rows that a persisted one
    predicted. `ready` is what was measured, and `served` has a row for each served version: model,
    version, format, size, parity.
    """
    release = "" if run.release is None else f", release {run.release}"
    with_whom = f", by the persisted {run.predicts_with}" if run.predicts_with else ""
    grouped = new if new and new.slices else trained
    return Card(
        f"{run.id}{release}",
        f"{trained.estimator}, trained on {trained.source}{with_whom}",
        [
            _purpose(run, trained),
            _data(trained),
            *([_new_data(new)] if new else []),
            _features(trained),
            _metrics(trained),
            _readiness(ready),
            _slices(grouped),
            _limits(run, [*trained.notes, *(new.notes if new else ())], grouped),
            _approvals(run),
            Section("Served", (), ("model", "version", "format", "size", "largest error"), served),
        ],
    )


def as_markdown(card: Card) -> str:
    """The card as Markdown."""
    lines = [f"# {_plain(card.title)}", "", _plain(card.subtitle)]
    for section in card.sections:
        lines += ["", f"## {section.title}"]
        for each in section.lines:
            lines += ["", _plain(each)]
        if section.rows:
            lines += ["", _row(section.headers), "|" + "---|" * len(section.headers)]
            lines += [_row(row) for row in section.rows]
    return "\n".join(lines) + "\n"


def as_html(card: Card) -> str:
    """The card as one page."""
    page = Page(card.title, card.subtitle)
    for section in card.sections:
        blocks = [text(each) for each in section.lines]
        page.section(
            section.title,
            *blocks,
            *([table(section.headers, section.rows)] if section.rows else []),
        )
    return page.html()


def _purpose(run: Run, figures: Figures) -> Section:
    what = f"It predicts {figures.target}." if figures.target else ""
    goal = _note(run, "goal")
    return Section("Purpose", [each for each in (what, f"Business goal: {goal}") if each])


def _data(figures: Figures) -> Section:
    return Section(
        "Data",
        [f"{figures.source}, SHA-256 {figures.digest or 'unknown'}.", f"Split {figures.split}."],
        ("part", "rows"),
        [(name, f"{rows:,}") for name, rows in figures.rows.items()],
    )


def _new_data(figures: Figures) -> Section:
    return Section(
        "New data",
        [
            f"{figures.source}, SHA-256 {figures.digest}. Nothing was fitted to it.",
            f"On it, {_metric(figures)}.",
        ],
        ("rows", "number"),
        [
            ("with an outcome" if name == "test" else "without one", f"{rows:,}")
            for name, rows in figures.rows.items()
        ],
    )


def _features(figures: Figures) -> Section:
    kinds = dict(figures.features)
    if not kinds:
        return Section("Features", [figures.takes])
    ranked = [(str(each["field"]), each) for each in figures.importance]
    rows = [
        (name, kinds.get(name, ""), f"{each['loss_rise']:.4f}", f"{each['score_fall']:.4f}")
        for name, each in ranked[:_MOST_FIELDS]
    ]
    left = len(kinds) - len(rows)
    more = [f"{left} more fields matter less."] if left > 0 else []
    return Section(
        "Features",
        ["How much worse it gets when the values of one field are shuffled.", *more],
        ("field", "kind", "loss rises by", "score falls by"),
        rows,
    )


def _metrics(figures: Figures) -> Section:
    rows = [(name, f"{value:.4f}", "") for name, value in figures.scores.items()]
    if figures.value is not None and figures.interval:
        low, high = figures.interval
        rows = [row for row in rows if row[0] != figures.metric]
        main = (figures.metric, f"{figures.value:.4f}", f"{low:.4f} to {high:.4f}")
        rows.insert(0, main)
    others = [f"{name}: {figures.metric} {value:.4f}." for name, value in figures.baselines.items()]
    return Section(
        "Metrics",
        [
            f"On the {figures.tested:,} rows of the test part, scored once; intervals of 95 %.",
            *([f"Other models on the same rows. {' '.join(others)}"] if others else []),
        ],
        ("metric", "value", "95 % interval"),
        rows,
    )


def _readiness(ready: Readiness) -> Section:
    return Section("Readiness", ready.sentences())


def _slices(figures: Figures) -> Section:
    if not figures.slices:
        return Section("Slices", ["No field divides the rows into a few groups."])
    names = list(figures.slices[0].scores)
    rows = [
        (
            each.field,
            each.group,
            f"{each.rows:,}",
            *(_number(each.scores.get(name)) for name in names),
            "few" if each.small else "",
        )
        for each in figures.slices
    ]
    return Section("Slices", (), ("field", "group", "rows", *names, "sample"), rows)


def _limits(run: Run, notes: Iterable[str], grouped: Figures) -> Section:
    small = [f"{each.field} = {each.group}" for each in grouped.slices if each.small]
    lines = [
        "The figures hold for rows like those of the test part; watch drift and live accuracy.",
        *([f"Groups with too few rows to judge: {', '.join(small)}."] if small else []),
        *dict.fromkeys(map(_sentence, notes)),
        f"Overfitting: {_note(run, 'overfitting')}",
        f"Compliance: {_note(run, 'compliance')}",
    ]
    return Section("Limits", lines)


def _approvals(run: Run) -> Section:
    lines = []
    if run.reviewed:
        lines.append(f"Reviewed by {run.reviewed.by} at {_minute(run.reviewed)}.")
    lines += [f"Approved by {entry.by} at {_minute(entry)}." for entry in run.approved]
    if run.tried:
        lines.append(f"Tried on live traffic, {canary_text(run.tried.details)}")
    if run.deploying:
        kept = ", persisted" if run.deploying.details.get("persist") else ""
        lines.append(f"Deployed by {run.deploying.by} at {_minute(run.deploying)}{kept}.")
    answers = _answers(run)
    rows = [
        (name, question, *(str(answers.get(name, {}).get(key, "")) for key in ("answer", "note")))
        for name, question in ITEMS.items()
    ]
    return Section("Approvals", lines, ("item", "question", "answer", "note"), rows)


def _version(served: Served) -> Row:
    manifest = served.manifest
    errors = [row["largest_error"] for row in manifest.parity if "largest_error" in row]
    error = f"{max(errors):.2g}" if errors else ""
    size = f"{manifest.size / 1e3:,.1f} kB"
    return served.model, str(served.number), manifest.format, size, error


def _metric(figures: Figures) -> str:
    if figures.value is None:
        return "no outcome is known"
    low, high = figures.interval or (figures.value, figures.value)
    return f"{figures.metric} is {figures.value:.4f} ({low:.4f} to {high:.4f})"


def _answers(run: Run) -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = (
        run.reviewed.details.get("answers", {}) if run.reviewed else {}
    )
    return found


def _note(run: Run, item: str) -> str:
    return _answers(run).get(item, {}).get("note", "not said")


def _minute(entry: Entry) -> str:
    return f"{entry.time[:16].replace('T', ' ')} UTC"


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:].removesuffix('.')}."


def _number(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else ""


def _row(cells: Row) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(content: str) -> str:
    """A text as one line that Markdown takes for nothing else."""
    line = " ".join(content.split())
    return "".join(f"\\{each}" if each in "\\`*<>[]" else each for each in line)
