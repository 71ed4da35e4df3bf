"""The report on a training, as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from markupsafe import Markup

from trimaran.pages.figures import SERIES
from trimaran.pages.page import Cell, Page, badge, beside, facts, figure, legend, table, text
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.evaluation.metrics import METRIC_NAMES, Flags
from trimaran.training.tabular.evaluation.segments import FEWEST_POSITIVES, FEWEST_ROWS
from trimaran.training.tabular.learning.evaluate import Evaluation
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.learn import Learned, Problem
from trimaran.training.tabular.runs.config import Config
from trimaran.training.tabular.runs.report_plots import (
    calibration_figures,
    comparison_figure,
    confusion_figure,
    curves_figures,
    importance_figure,
    learning_figures,
    segments_figure,
)

__all__ = ["report"]

_NETWORKS = {"mlp": "an ensemble of small perceptrons", "tabnet": "a TabNet-style network"}

_MOST_FIELDS = 25


def report(
    problem: Problem, split: Split, config: Config, learned: Learned, evaluation: Evaluation
) -> str:
    """The page as HTML."""
    hyper = config.recipe.hyper
    page = Page(
        f"{config.recipe.family}: {hyper.network}, seed {config.seed}",
        f"{_NETWORKS[hyper.network]}, trained on {problem.source}",
    )
    page.section("Result", *_headline(config, evaluation))
    page.section("Compared with simpler models", *_comparison(config, evaluation))
    page.section("Decisions", *_decisions(problem, evaluation))
    page.section("Probabilities", *_probabilities(problem, split, evaluation))
    page.section("Importance of the fields", *_importance(evaluation))
    page.section("Groups of rows", *_segments(evaluation))
    page.section("Learning", *_learning(hyper, learned))
    page.section("Data", *_data(problem, split, learned))
    page.section("Settings", *_settings(config))
    return page.html()


def _headline(config: Config, evaluation: Evaluation) -> list[Markup]:
    test, (low, high) = evaluation.model.test, evaluation.f1_interval
    tiles: list[tuple[str, Cell]] = [
        ("F1 on test", f"{test.f1:.3f}"),
        ("95 % interval", f"{low:.3f}\N{EN DASH}{high:.3f}"),
        ("precision", f"{test.precision:.3f}"),
        ("recall", f"{test.recall:.3f}"),
        ("ROC AUC", f"{test.roc_auc:.3f}"),
        ("threshold", f"{test.threshold:g}"),
    ]
    return [
        facts(tiles),
        *_goal(config.recipe.goal, config.seed, test.f1, low),
        text(
            f"The test part has {test.rows} rows, {test.positives} of them positive. It was scored "
            "once, after the weights and the threshold were fixed. The interval is from 10,000 "
            "bootstrap resamples of those rows; it does not include the variation between splits. "
            f"Deciding positive for every row would give an F1 of {evaluation.always_yes_f1:.3f}."
        ),
        *([text(config.recipe.caveat, "warning")] if config.recipe.caveat else []),
    ]


def _goal(goal: float | None, seed: int, f1: float, low: float) -> list[Markup]:
    if goal is None:
        return []
    if f1 < goal:
        return [
            text(f"The goal, an F1 of {goal:g} or more, is not reached on seed {seed}.", "warning")
        ]
    sure = (
        "and the whole interval is above it"
        if low >= goal
        else "but the interval reaches below it, so on other rows it may well fall short"
    )
    return [
        text(f"The goal, an F1 of {goal:g} or more, is reached on seed {seed}, {sure}.", "good")
    ]


def _comparison(config: Config, evaluation: Evaluation) -> list[Markup]:
    models = {config.recipe.hyper.network: evaluation.model, **evaluation.baselines}
    rows = [
        (
            name,
            f"{one.test.threshold:g}",
            *(getattr(one.test, metric) for metric in METRIC_NAMES),
            one.validation.f1,
        )
        for name, one in models.items()
    ]
    headers = ["test part", "threshold", *METRIC_NAMES.values(), "validation F1"]
    tests = {name: one.test for name, one in models.items()}
    best = max(evaluation.baselines.items(), key=lambda item: item[1].test.f1)
    difference = evaluation.model.test.f1 - best[1].test.f1
    verdict = "as good as" if difference == 0 else "better than" if difference > 0 else "worse than"
    by = f" by {abs(difference):.3f}" if difference else ""
    low, high = evaluation.f1_interval
    sure = ", which the interval does not rule out" if low <= best[1].test.f1 <= high else ""
    goal = config.recipe.goal
    return [
        figure(
            comparison_figure(tests, goal),
            "Each model has the same features of the same rows, and a threshold by the same rule "
            f"on the validation part.{f' The line is the goal, {goal:g}.' if goal else ''}",
            "bars of the test F1 by model",
        ),
        table(headers, rows),
        text(f"By F1 the network is {verdict} {best[0]}{by} on this split{sure}."),
    ]


def _decisions(problem: Problem, evaluation: Evaluation) -> list[Markup]:
    """The confusion matrix at the threshold."""
    found = evaluation.model.test.confusion
    schema = problem.schema
    positive = f"{schema.target} = {schema.positive}"
    return [
        text(
            f"Positive means {positive}. Of 100 rows decided as positive, "
            f"{100 * found.precision:.0f} are; of 100 rows that are positive, "
            f"{100 * found.recall:.0f} are decided so."
        ),
        figure(
            confusion_figure(found, schema.positive),
            "Rows of the test part by outcome and decision; each share is of the rows of its "
            f"outcome. The outcome is the column {schema.target}.",
            "the confusion matrix",
        ),
    ]


def _probabilities(problem: Problem, split: Split, evaluation: Evaluation) -> list[Markup]:
    """ROC, precision over recall, and calibration, on the test part."""
    target, probability = problem.target[split.test], evaluation.probability[split.test]
    scores = evaluation.model.test
    roc, both = curves_figures(target, probability, scores)
    shares, spread = calibration_figures(target, probability, scores.ece)
    name, positive = problem.schema.target, problem.schema.positive
    return [
        text(
            f"The dot is the threshold, {scores.threshold:g}. It was chosen on the validation "
            "part: of all thresholds whose F1 is within 0.005 of the best, the nearest to 0.5."
        ),
        beside(
            figure(roc, "The dashed line is chance.", "the ROC curve"),
            figure(both, "The dashed line is the share of positives.", "precision over recall"),
        ),
        legend(
            [(f"{name}: {positive}", "positive"), (f"{name}: not {positive}", "negative")],
        ),
        beside(
            figure(
                shares,
                "Ten equally large groups of test rows, by probability; on the line, "
                "probabilities equal shares.",
                "share of positives over mean probability",
            ),
            figure(
                spread,
                "The probabilities of the rows of each outcome.",
                "the distribution of probabilities",
            ),
        ),
    ]


def _importance(evaluation: Evaluation) -> list[Markup]:
    """The cost of shuffling each field."""
    shown = evaluation.importance[:_MOST_FIELDS]
    drawn = figure(
        importance_figure(shown),
        "The line is the standard deviation.",
        "bars of the rise of the log loss by field",
    )
    listed = table(
        ["field", "rise of log loss", "fall of F1"],
        [(one.field, one.loss_rise, one.f1_fall) for one in shown],
    )
    return [
        text(
            "Each field's values were shuffled among the validation rows, five times. Fields with "
            "the same information, such as a price with and without tax, replace one another and "
            "look less important than they are together."
        ),
        beside(drawn, listed),
    ]


def _segments(evaluation: Evaluation) -> list[Markup]:
    """F1 by segment, with its rows."""
    if not evaluation.segments:
        return [text("No field divides the rows into a few groups.")]
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
        for one in evaluation.segments
    ]
    return [
        figure(
            segments_figure(evaluation.segments, evaluation.model.test.f1),
            f"Hollow: fewer than {FEWEST_ROWS} rows or {FEWEST_POSITIVES} positives, too few "
            "to conclude much.",
            "F1 by group of rows",
        ),
        table(["field", "group", "rows", "positives", "F1", "precision", "recall", "sample"], rows),
    ]


def _learning(hyper: Hyperparameters, learned: Learned) -> list[Markup]:
    """The losses by epoch."""
    fitted = learned.fitted
    ended = (
        f"The fit ended after {len(fitted.history)} epochs, {hyper.patience} after the best."
        if len(fitted.history) < hyper.epochs
        else f"The fit ran for all its {hyper.epochs} epochs."
    )
    weighted = {
        "none": "",
        "weights": " The rarer outcome weighs more in the training loss.",
        "resample": " The training rows are drawn so that both outcomes are equally frequent.",
    }[hyper.imbalance]
    losses, rates = learning_figures(fitted.history, fitted.best)
    return [
        text(f"{ended} The weights of epoch {fitted.best + 1}, the dot, are kept."),
        legend([("train", SERIES[0]), ("validation", SERIES[1])]),
        beside(
            figure(
                losses,
                "The training loss is measured with dropout, the validation loss on the averaged "
                f"weights.{weighted}",
                "training and validation loss by epoch",
            ),
            figure(rates, "", "the learning rate by epoch"),
        ),
    ]


def _data(problem: Problem, split: Split, learned: Learned) -> list[Markup]:
    """The parts, the notes, and the features."""
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


def _settings(config: Config) -> list[Markup]:
    own: Iterable[tuple[str, str]] = (
        (name, str(value)) for name, value in config.recipe.hyper.as_dict().items()
    )
    about = [
        ("seed", str(config.seed)),
        ("configuration", config.digest()),
        ("data", config.data_digest),
        *((name, version) for name, version in config.versions.items()),
    ]
    return [table(["hyperparameter", "value"], own), table(["of the run", ""], about)]
