"""The report on a training, as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.figure import Figure

from trimaran.pages.figures import INK, LINE, NEGATIVE, PANEL, POSITIVE, TEXT, plain_axes
from trimaran.pages.page import Page, beside, facts, figure, legend, table, text
from trimaran.training.tabular.evaluation.metrics import METRIC_NAMES, Scores, calibration
from trimaran.training.text.data import Flags, Parts, TextData

__all__ = ["Judged", "farthest", "least_sure", "report"]

_MODELS = {
    "encoder": "the encoder all-MiniLM-L6-v2 with a logistic regression",
    "tfidf": "a logistic regression on the TF-IDF of words and pairs of words",
}
_WRONG = 10
_SHOWN = 240
"""Characters of a text that is quoted."""

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Judged:
    """A model's scores."""

    validation: Scores
    test: Scores


def report(
    data: TextData,
    parts: Parts,
    model: str,
    seed: int,
    judged: Mapping[str, Judged],
    interval: tuple[float, float],
    always: float,
    probability: Probabilities,
) -> str:
    """The page as HTML. `probability` is the model's own, float32 `[rows]`, of the test part."""
    page = Page(f"{data.name}: {model}, seed {seed}", f"{_MODELS[model]}, on {data.source}")
    page.section("Result", *_headline(data, judged[model].test, interval, always))
    page.section("Compared with simpler models", *_comparison(model, judged, interval, always))
    page.section("Probabilities", *_probabilities(data, parts, probability))
    page.section("Surest mistakes", *_mistakes(data, parts, judged[model].test, probability))
    page.section("Data", *_data(data, parts))
    return page.html()


def _headline(
    data: TextData, test: Scores, interval: tuple[float, float], always: float
) -> list[Markup]:
    low, high = interval
    right = test.confusion.true_positive + test.confusion.true_negative
    return [
        facts(
            [
                ("F1 on test", f"{test.f1:.3f}"),
                ("95 % interval", f"{low:.3f}\N{EN DASH}{high:.3f}"),
                ("precision", f"{test.precision:.3f}"),
                ("recall", f"{test.recall:.3f}"),
                ("right", f"{right / test.rows:.1%}"),
                ("ROC AUC", f"{test.roc_auc:.3f}"),
                ("threshold", f"{test.threshold:g}"),
            ]
        ),
        text(
            f"The test part has {test.rows} texts, {test.positives} of them {data.positive}. It "
            "was scored once, after the weights and the threshold were fixed. The interval is "
            "from 10,000 bootstrap resamples of those texts. Deciding "
            f"{data.positive} for every text would give an F1 of {always:.3f}."
        ),
    ]


def _comparison(
    model: str, judged: Mapping[str, Judged], interval: tuple[float, float], always: float
) -> list[Markup]:
    headers = ["test part", "threshold", *METRIC_NAMES.values(), "validation F1"]
    rows = [
        (
            name,
            f"{one.test.threshold:g}",
            *(getattr(one.test, metric) for metric in METRIC_NAMES),
            one.validation.f1,
        )
        for name, one in judged.items()
    ]
    low, high = interval
    own = judged[model].test.f1
    verdicts = [
        f"{name} has {one.test.f1:.3f}, which is {_place(one.test.f1, low, high)} the interval"
        for name, one in judged.items()
        if name != model
    ]
    verdicts.append(f"deciding always yes has {always:.3f}, {_place(always, low, high)} it")
    return [table(headers, rows), text(f"{model} has an F1 of {own:.3f}; {'; '.join(verdicts)}.")]


def _place(value: float, low: float, high: float) -> str:
    return "below" if value < low else "above" if value > high else "inside"


def _probabilities(data: TextData, parts: Parts, probability: Probabilities) -> list[Markup]:
    target, found = data.target[parts.test], probability[parts.test]
    shares = Figure(figsize=(PANEL, 3.2), layout="constrained")
    axes = shares.subplots()
    plain_axes(axes, grid="both")
    axes.set_title("calibration", loc="left", fontsize=TEXT, color=INK)
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle=(0, (4, 3)))
    groups = calibration(target, found)
    axes.plot([g[0] for g in groups], [g[1] for g in groups], color=POSITIVE, marker="o")
    axes.set_xlabel("mean probability")
    axes.set_ylabel(f"share of {data.positive}")
    spread = Figure(figsize=(PANEL, 3.2), layout="constrained")
    axes = spread.subplots()
    plain_axes(axes)
    axes.set_title("texts by probability", loc="left", fontsize=TEXT, color=INK)
    edges = np.linspace(0, 1, 26)
    for rows, colour in ((~target, NEGATIVE), (target, POSITIVE)):
        heights, _ = np.histogram(found[rows], edges)
        part = heights / max(1, heights.sum())
        axes.stairs(part, edges, fill=True, color=colour, alpha=0.4)
        axes.stairs(part, edges, color=colour, linewidth=1.2)
    axes.set_xlabel("probability")
    axes.set_ylabel("share of each class")
    return [
        legend([(data.positive, "positive"), (data.negative, "negative")]),
        beside(
            figure(
                shares,
                "Ten equally large groups of test texts, by probability; on the line, "
                "probabilities equal shares.",
                "share of positives over mean probability",
            ),
            figure(
                spread,
                "The probabilities of the test texts of each class.",
                "the distribution of probabilities",
            ),
        ),
    ]


def _mistakes(
    data: TextData, parts: Parts, test: Scores, probability: Probabilities
) -> list[Markup]:
    found = test.confusion
    texts = [data.texts[row] for row in parts.test]
    names = data.negative, data.positive
    return [
        text(
            f"Of {test.rows} test texts {found.false_positive} are decided {data.positive} and are "
            f"{data.negative}, and {found.false_negative} the other way round."
        ),
        farthest(texts, data.target[parts.test], probability[parts.test], names),
    ]


def farthest(
    texts: Sequence[str], target: Flags, probability: Probabilities, names: tuple[str, str]
) -> Markup:
    """The texts whose probability is farthest from their class, one of `names` by `target`."""
    worst = np.argsort(-np.abs(probability - target), kind="stable")[:_WRONG]
    rows = [(names[int(target[at])], f"{probability[at]:.3f}", _quoted(texts[at])) for at in worst]
    return table(["is", "probability", "text"], rows)


def least_sure(texts: Sequence[str], probability: Probabilities, threshold: float) -> Markup:
    """The texts whose probability is nearest to the threshold."""
    nearest = np.argsort(np.abs(probability - threshold), kind="stable")[:_WRONG]
    return table(
        ["probability", "text"], [(f"{probability[at]:.3f}", _quoted(texts[at])) for at in nearest]
    )


def _quoted(content: str) -> str:
    return content if len(content) <= _SHOWN else f"{content[:_SHOWN]}..."


def _data(data: TextData, parts: Parts) -> list[Markup]:
    rows = [
        (part, len(chosen), f"{data.target[chosen].mean():.1%}")
        for part, chosen in parts.by_name().items()
    ]
    return [
        table(["part", "texts", data.positive], rows),
        *(text(f"{note[0].upper()}{note[1:]}.") for note in data.notes),
    ]
