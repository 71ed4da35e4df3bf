"""What a training came to, as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from trimaran.pages.page import Cell, Page, facts, figure, table, text
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.judging.judge import Judgement
from trimaran.training.tabular.judging.metrics import METRIC_NAMES
from trimaran.training.tabular.learning.config import Config
from trimaran.training.tabular.learning.learn import Learned, Problem
from trimaran.training.tabular.pages.report_plots import comparison_figure
from trimaran.training.tabular.pages.report_sections import (
    data_section,
    decisions_section,
    importance_section,
    learning_section,
    probabilities_section,
    segments_section,
)

__all__ = ["report"]

_NETWORKS = {"mlp": "an ensemble of small perceptrons", "tabnet": "a TabNet-style network"}


def report(
    problem: Problem, split: Split, config: Config, learned: Learned, judgement: Judgement
) -> str:
    """The whole page, as HTML."""
    hyper = config.recipe.hyper
    page = Page(
        f"{config.recipe.family}: {hyper.network}, seed {config.seed}",
        f"{_NETWORKS[hyper.network]}, trained on {problem.source}",
    )
    page.section("Result", *_headline(config, judgement))
    page.section("Compared with simpler models", *_comparison(config, judgement))
    page.section("Decisions", *decisions_section(problem, judgement))
    page.section("Probabilities", *probabilities_section(problem, split, judgement))
    page.section("What the model goes by", *importance_section(judgement))
    page.section("Parts of the customers", *segments_section(judgement))
    page.section("Learning", *learning_section(hyper, learned))
    page.section("Data", *data_section(problem, split, learned))
    page.section("Settings", *_settings(config))
    return page.html()


def _headline(config: Config, judgement: Judgement) -> list[Markup]:
    test, (low, high) = judgement.model.test, judgement.f1_interval
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
            "once, after the weights and the threshold stood. The interval is of 10,000 bootstrap "
            "resamples of those rows; it does not include what another split would change. "
            f"Deciding positive for every row would have the F1 {judgement.always_yes_f1:.3f}."
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
        "and the whole interval lies above it"
        if low >= goal
        else "but the interval reaches below it, so that other customers may well fall short"
    )
    return [
        text(f"The goal, an F1 of {goal:g} or more, is reached on seed {seed}, {sure}.", "good")
    ]


def _comparison(config: Config, judgement: Judgement) -> list[Markup]:
    models = {config.recipe.hyper.network: judgement.model, **judgement.baselines}
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
    best = max(judgement.baselines.items(), key=lambda item: item[1].test.f1)
    difference = judgement.model.test.f1 - best[1].test.f1
    verdict = "as good as" if difference == 0 else "better than" if difference > 0 else "worse than"
    by = f" by {abs(difference):.3f}" if difference else ""
    low, high = judgement.f1_interval
    sure = (
        ", which is within what the interval leaves open" if low <= best[1].test.f1 <= high else ""
    )
    return [
        figure(
            comparison_figure(tests, config.recipe.goal),
            "Each model got the same features of the same rows, and its threshold by the same "
            "rule on the validation part.",
            "bars of the test F1 by model",
        ),
        table(headers, rows),
        text(f"By F1 the network is {verdict} {best[0]}{by} on this split{sure}."),
    ]


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
