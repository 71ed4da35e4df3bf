"""Runs of texts with two classes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from trimaran.pages.page import Page, facts, table, text
from trimaran.rollout.runs.families.family import Family
from trimaran.rollout.runs.figures import Figures, figures_of_metrics
from trimaran.rollout.runs.predicted_page import Result, drift, notes_on, predicted_page, result
from trimaran.rollout.runs.predicting import NEW, TEST, leave, metrics_of, parts, samples_seen
from trimaran.rollout.runs.readiness import Predict
from trimaran.served.refusal import RefusedError
from trimaran.served.texts import read_text
from trimaran.served.tokens import PADDING
from trimaran.training.progress import Watch
from trimaran.training.tabular.data.reading import Source
from trimaran.training.tabular.evaluation.metrics import METRIC_NAMES
from trimaran.training.tabular.wording import some
from trimaran.training.text.frozen import NewTexts, ScoredTexts, new_texts, scored_texts
from trimaran.training.text.report import farthest, least_sure
from trimaran.training.text.trained import TextRun, text_run

__all__ = ["TEXTS", "FrozenTexts", "page_of_scored"]

_FILES = ("encoding.json", "decision.json")
_QUANTILES = {"shortest": 0.0, "10 %": 0.1, "median": 0.5, "90 %": 0.9, "longest": 1.0}
_EXPECTED = "the texts that the run kept of its training part, and its answers to held-out ones"
_METRICS = {name: METRIC_NAMES[name] for name in ("f1", "precision", "recall", "roc_auc")}


@dataclass(frozen=True)
class FrozenTexts:
    """A finished run that predicts other texts."""

    run: TextRun

    def read(self, source: Source, watch: Watch) -> NewTable:
        """A CSV file with the run's column of texts; see `new_texts`."""
        watch("reading texts", 0, 1)
        return NewTable(self.run, new_texts(self.run, source.place))


@dataclass(frozen=True)
class NewTable:
    """Texts, and the run that predicts them."""

    run: TextRun
    new: NewTexts

    @property
    def notes(self) -> tuple[str, ...]:
        """How many texts are not predicted."""
        refused = self.new.total - len(self.new.texts)
        return (f"{some(refused, 'text')} empty or too long, and not predicted",) * bool(refused)

    @property
    def rows(self) -> None:
        """They are no records."""

    def page(self) -> str:
        """How many texts there are, of what lengths and classes, and the first of them."""
        new, names = self.new, _names(self.run)
        page = Page(f"Data of {self.run.name}", new.source)
        positives = int(new.target[new.known].sum())
        lengths = sorted(map(len, new.texts))
        page.section(
            "Summary",
            facts([("texts", len(new.texts)), ("with a class", int(new.known.sum()))]),
            *(text(f"Note: {note}.") for note in self.notes),
        )
        page.section(
            "Classes",
            table(
                ["class", "texts"],
                [
                    (names[1], positives),
                    (names[0], int(new.known.sum()) - positives),
                    ("not known", int((~new.known).sum())),
                ],
            ),
        )
        page.section(
            "Lengths",
            table(
                ["characters", "of a text"],
                [
                    (name, lengths[round(share * (len(lengths) - 1))])
                    for name, share in _QUANTILES.items()
                ],
            ),
        )
        return page.html()

    def predict(self, directory: Path, watch: Watch) -> None:
        """Leave the probabilities of all texts that can be read."""
        run, new = self.run, self.new
        scored = scored_texts(run, new, watch)
        content = json.dumps([new.texts, new.known.tolist(), new.target.tolist()])
        about = {
            "source": new.source,
            "data": {
                "rows": len(new.texts),
                "digest": hashlib.sha256(content.encode()).hexdigest(),
            },
        }
        test: dict[str, Any] = {"rows": int(new.known.sum())}
        if scored.scores is not None and scored.interval is not None:
            test = {**scored.scores.as_dict(), "f1_interval": list(scored.interval)}
        notes = [*self.notes, *samples_seen(scored.seen, scored.samples, "texts")]
        judged = test["rows"] if scored.scores is not None else 0
        rows = parts(judged, len(new.texts))
        metrics = metrics_of(run, ("threshold",), test, scored.drift, notes, rows)
        html = page_of_scored(run, new, scored, notes)
        leave(directory, run, about, _predictions(new, scored), html, metrics, _FILES)


@dataclass(frozen=True)
class TrialOfTexts:
    """What is served of a run, to be tried: its policy of texts, and its network."""

    run: TextRun

    def module(self) -> nn.Module:
        """Tokens to the probability of the positive class."""
        return self.run.network()

    def batch(self, rows: int) -> npt.NDArray[np.int64]:
        """Tokens of training texts, int64 `[rows, length]`, as long as these texts are."""
        found = self.run.samples()
        kept = np.resize(found, (rows, *found.shape[1:]))
        return self.run.encoding().padded([row[row != PADDING].tolist() for row in kept])

    def missing(self, predict: Predict) -> str:
        """A text without anything, and one without a word that it knows."""
        try:
            read_text(b"")
            empty = "answered"
        except RefusedError:
            empty = "refused"
        (found,) = predict(self.run.encoding().padded([[]]))
        unknown = "answered" if np.isfinite(found).all() else "answered without a number"
        return f"An empty text is {empty}, and one without a known word is {unknown}."


def page_of_scored(run: TextRun, new: NewTexts, scored: ScoredTexts, notes: Sequence[str]) -> str:
    """The results report of new texts, as HTML."""
    names, threshold = _names(run), run.threshold()
    before = run.metrics()["test"]
    now = scored.scores.as_dict() if scored.scores is not None else {}
    scores = {name: (now[key], before[key]) for key, name in METRIC_NAMES.items() if key in now}
    page = predicted_page(run.name, run, new.source)
    found = Result(
        "texts",
        len(new.texts),
        int(new.known.sum()),
        "F1",
        scores,
        scored.interval,
        before["f1_interval"],
    )
    page.section("Result", *result(found))
    page.section("Drift", *drift(scored.drift, _EXPECTED))
    decided = int((scored.probability >= threshold).sum())
    shares = [(names[1], decided), (names[0], len(new.texts) - decided)]
    page.section(
        "Answers",
        table(
            ["decided", "texts", "share"],
            [(name, count, f"{count / len(new.texts):.1%}") for name, count in shares],
        ),
    )
    if scored.scores is not None:
        known = [each for each, is_known in zip(new.texts, new.known, strict=True) if is_known]
        mistakes = farthest(known, new.target[new.known], scored.probability[new.known], names)
        page.section("Farthest from their class", mistakes)
    page.section(
        "Least sure",
        text(f"The texts whose probability is nearest to the threshold, {threshold:g}."),
        least_sure(new.texts, scored.probability, threshold),
    )
    page.section("Data", *notes_on(notes, "texts"))
    return page.html()


def _names(run: TextRun) -> tuple[str, str]:
    """Of the negative and of the positive class."""
    negative, positive = (str(run.entry("decision.json", key)) for key in ("negative", "positive"))
    return negative, positive


def _predictions(new: NewTexts, scored: ScoredTexts) -> Iterator[Sequence[Any]]:
    judged = new.known if scored.scores is not None else new.known & False
    yield ["row", "part", "target", "probability"]
    rows = zip(new.rows, judged, new.target, scored.probability, strict=True)
    for row, known, target, probability in rows:
        outcome = int(target) if known else ""
        yield [int(row), TEST if known else NEW, outcome, str(probability)]


def _figures(directory: Path) -> Figures:
    run = TextRun(directory)
    columns = run.entry("config.json", "columns")
    negative, positive = _names(run)
    return figures_of_metrics(
        run,
        "f1",
        _METRICS,
        run.metrics()["test"].get("f1_interval"),
        takes=f"It reads the text in {columns['text']!r}, and nothing else of a row.",
        target=f"whether {columns['target']!r} is {positive} or {negative}",
    )


TEXTS = Family(
    "texts",
    lambda directory: text_run(directory) is not None,
    _figures,
    lambda directory: TrialOfTexts(TextRun(directory)),
    lambda directory: FrozenTexts(TextRun(directory)),
)
