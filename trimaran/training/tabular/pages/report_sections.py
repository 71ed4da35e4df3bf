"""The sections of the report on a training."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from trimaran.pages.page import badge, facts, figure, table, text
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.judging.judge import Judgement
from trimaran.training.tabular.judging.segments import FEWEST_POSITIVES, FEWEST_ROWS
from trimaran.training.tabular.learning.learn import Learned, Problem
from trimaran.training.tabular.learning.threshold import Flags
from trimaran.training.tabular.networks.hyperparameters import Hyperparameters
from trimaran.training.tabular.pages.report_plots import (
    calibration_figure,
    confusion_figure,
    curves_figure,
    importance_figure,
    learning_figure,
    segments_figure,
)

__all__ = [
    "data_section",
    "decisions_section",
    "importance_section",
    "learning_section",
    "probabilities_section",
    "segments_section",
]

_MOST_FIELDS = 25


def decisions_section(problem: Problem, judgement: Judgement) -> list[Markup]:
    """The confusion matrix at the threshold."""
    found = judgement.model.test.confusion
    return [
        figure(
            confusion_figure(found, f"{problem.schema.target} {problem.schema.positive}"),
            "The test part's rows by what they are and what was decided; shares are of the row.",
            "the confusion matrix",
        ),
        text(
            f"Of 100 customers reported, {100 * found.precision:.0f} are rightly so; of 100 that "
            f"should be reported, {100 * found.recall:.0f} are."
        ),
    ]


def probabilities_section(problem: Problem, split: Split, judgement: Judgement) -> list[Markup]:
    """ROC, precision over recall, and calibration, on the test part."""
    target, probability = problem.target[split.test], judgement.probability[split.test]
    scores = judgement.model.test
    return [
        figure(
            curves_figure(target, probability, scores),
            "The dot is the threshold, which was chosen on the validation part: of all thresholds "
            "whose F1 there is within 0.005 of the best, the nearest to 0.5.",
            "the ROC curve, and precision over recall",
        ),
        figure(
            calibration_figure(target, probability, scores.ece),
            "Left: ten groups of as many test rows, by probability; on the line a probability is "
            "what it says. Right: how the two outcomes are told apart.",
            "share of positives over mean probability, and the distribution of probabilities",
        ),
    ]


def importance_section(judgement: Judgement) -> list[Markup]:
    """What shuffling each field costs."""
    shown = judgement.importance[:_MOST_FIELDS]
    return [
        figure(
            importance_figure(shown),
            "Each field's values were shuffled among the validation rows, five times; the line is "
            "the standard deviation. Fields that say the same, such as minutes and their charge, "
            "stand in for one another and look less important than they are together.",
            "bars of the rise of the log loss by field",
        ),
        table(
            ["field", "rise of log loss", "fall of F1"],
            [(one.field, one.loss_rise, one.f1_fall) for one in shown],
        ),
    ]


def segments_section(judgement: Judgement) -> list[Markup]:
    """F1 by segment, with its rows."""
    if not judgement.segments:
        return [text("No field divides the customers into a few groups.")]
    rows = [
        (
            one.field,
            one.group,
            one.rows,
            one.positives,
            one.f1,
            one.precision,
            one.recall,
            badge("few", "warning") if one.small else "",
        )
        for one in judgement.segments
    ]
    return [
        figure(
            segments_figure(judgement.segments, judgement.model.test.f1),
            f"Hollow: fewer than {FEWEST_ROWS} rows or {FEWEST_POSITIVES} positives, which is too "
            "few to say much.",
            "F1 by segment",
        ),
        table(["field", "group", "rows", "positives", "F1", "precision", "recall", "sample"], rows),
    ]


def learning_section(hyper: Hyperparameters, learned: Learned) -> list[Markup]:
    """The losses by epoch."""
    fitted = learned.fitted
    ended = (
        f"It ended after {len(fitted.history)} epochs, {hyper.patience} after the best."
        if len(fitted.history) < hyper.epochs
        else f"It ran for all of its {hyper.epochs} epochs."
    )
    weighted = {
        "none": "",
        "weights": " The rarer outcome weighs more in the training loss.",
        "resample": " The training rows are drawn so that both outcomes are as frequent.",
    }[hyper.imbalance]
    return [
        figure(
            learning_figure(fitted.history, fitted.best),
            "The training loss is measured with dropout, the validation loss on the averaged "
            f"weights.{weighted}",
            "training and validation loss by epoch, and the learning rate",
        ),
        text(f"{ended} The weights of epoch {fitted.best + 1} are kept."),
    ]


def data_section(problem: Problem, split: Split, learned: Learned) -> list[Markup]:
    """The parts, what was noted, and the features."""
    rows = [
        (name, len(part), int(problem.target[part].sum()), _percent(problem.target[part]))
        for name, part in split.parts().items()
    ]
    schema = problem.schema
    notes = [*problem.notes, *learned.notes]
    return [
        facts(
            [
                ("rows", len(problem.frame)),
                ("number fields", len(schema.numbers)),
                ("category fields", len(schema.categories)),
                (f"{schema.target} = {schema.positive}", _percent(problem.target)),
                ("features", len(learned.data.outputs)),
                ("edges", sum(len(each) for each in learned.edges)),
            ]
        ),
        table(["part", "rows", "positives", "share"], rows),
        *(text(note, "warning") for note in notes),
        table(
            ["feature", "edges, in its scaled units"],
            [
                (name, ", ".join(f"{edge:.3g}" for edge in edges))
                for name, edges in zip(learned.data.outputs, learned.edges, strict=True)
            ],
        ),
    ]


def _percent(flags: Flags) -> str:
    return f"{float(np.mean(flags)):.1%}"
