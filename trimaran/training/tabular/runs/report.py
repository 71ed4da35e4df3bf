"""The report on a training, as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from trimaran.pages.figures import SERIES
from trimaran.pages.page import Page, badge, beside, facts, figure, legend, table, text
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.learning.evaluate import Evaluation
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.learn import Learned, Problem
from trimaran.training.tabular.runs.config import Config
from trimaran.training.tabular.runs.report_plots import (
    comparison_figure,
    importance_figure,
    learning_figures,
    segments_figure,
)
from trimaran.training.tabular.tasks.task import View
from trimaran.training.tabular.wording import shown

__all__ = ["report"]

_MODELS = {
    "mlp": "an ensemble of small perceptrons",
    "tabnet": "a TabNet-style network",
    "linear": "a linear model",
    "forest": "a random forest",
    "boosting": "boosted trees",
}

_MOST_FIELDS = 25


def report(
    problem: Problem, split: Split, config: Config, learned: Learned, evaluation: Evaluation
) -> str:
    """The page as HTML."""
    hyper, task_page = config.recipe.hyper, problem.task.page
    view = View(
        problem.schema.target,
        problem.target[split.test],
        evaluation.predictions[split.test],
        evaluation.model.test,
        evaluation.chosen,
        evaluation.plain,
        evaluation.interval,
        evaluation.compared,
    )
    page = Page(
        f"{config.recipe.family}: {hyper.network}, seed {config.seed}",
        f"{_MODELS[hyper.network]}, trained on {problem.source}",
    )
    page.section("Result", *_headline(config, evaluation, view))
    page.section("Compared with other models", *_comparison(config, evaluation))
    for title, blocks in task_page.sections(view):
        page.section(title, *blocks)
    page.section("Importance of the fields", *_importance(evaluation))
    page.section("Groups of rows", *_segments(evaluation))
    page.section("Learning", *_learning(problem.task.loss, hyper, learned))
    page.section("Data", *_data(problem, split, learned))
    page.section("Settings", *_settings(config))
    return page.html()


def _headline(config: Config, evaluation: Evaluation, view: View) -> list[Markup]:
    page = evaluation.task.page
    return [
        facts(page.tiles(view)),
        *_goal(config, evaluation),
        text(page.result(view)),
        *([text(config.recipe.caveat, "warning")] if config.recipe.caveat else []),
    ]


def _goal(config: Config, evaluation: Evaluation) -> list[Markup]:
    goal, task = config.recipe.goal, evaluation.task
    if goal is None:
        return []
    value = evaluation.main(evaluation.model.test)
    about = f"The goal, {task.title} of {goal:g} or {task.better}"
    if not task.reaches(value, goal):
        return [text(f"{about}, is not reached on seed {config.seed}.", "warning")]
    sure = (
        "and so are both ends of the interval"
        if all(task.reaches(end, goal) for end in evaluation.interval)
        else "but not by the whole interval, so on other rows it may well be missed"
    )
    return [text(f"{about}, is reached on seed {config.seed}, {sure}.", "good")]


def _comparison(config: Config, evaluation: Evaluation) -> list[Markup]:
    task, main = evaluation.task, evaluation.main
    models = {config.recipe.hyper.network: evaluation.model, **evaluation.baselines}
    rows = [
        (
            name,
            *(f"{getattr(one.test, each):g}" for each in task.chosen),
            *(getattr(one.test, metric) for metric in task.metrics),
            main(one.validation),
        )
        for name, one in models.items()
    ]
    headers = ["test part", *task.chosen, *task.metrics.values(), f"validation {task.title}"]
    tests = {name: main(one.test) for name, one in models.items()}
    own = main(evaluation.model.test)
    best = max(evaluation.baselines, key=lambda name: task.goodness(tests[name]))
    other = tests[best]
    verdict = (
        "as good as"
        if other == own
        else "better than"
        if task.goodness(own) > task.goodness(other)
        else "worse than"
    )
    by = f" by {shown(abs(own - other))}" if other != own else ""
    low, high = evaluation.interval
    sure = ", which the interval does not rule out" if low <= other <= high else ""
    goal = config.recipe.goal
    return [
        figure(
            comparison_figure(tests, task.title, goal, task.most),
            task.page.comparison + (f" The line is the goal, {goal:g}." if goal else ""),
            f"bars of the test {task.title} by model",
        ),
        table(headers, rows),
        text(f"By {task.title} this model is {verdict} {best}{by} on this split{sure}."),
    ]


def _importance(evaluation: Evaluation) -> list[Markup]:
    """The cost of shuffling each field."""
    listed = evaluation.importance[:_MOST_FIELDS]
    rise, fall = evaluation.task.judged
    drawn = figure(
        importance_figure(listed, rise),
        "The line is the standard deviation.",
        f"bars of the {rise} by field",
    )
    cells = table(
        ["field", rise, fall], [(one.field, one.loss_rise, one.score_fall) for one in listed]
    )
    return [
        text(
            "Each field's values were shuffled among the validation rows, five times. Fields with "
            "the same information, such as a price with and without tax, replace one another and "
            "look less important than they are together."
        ),
        beside(drawn, cells),
    ]


def _segments(evaluation: Evaluation) -> list[Markup]:
    """The scores by segment, with its rows."""
    found, task = evaluation.segments, evaluation.task
    if not found:
        return [text("No field divides the rows into a few groups.")]
    drawn, *_ = scores = list(found[0].scores)
    names = [task.metrics.get(each, each.replace("_", " ")) for each in scores]
    rows = [
        (
            one.field,
            one.group,
            one.rows,
            *one.scores.values(),
            badge("few", "warning") if one.small else "",
        )
        for one in found
    ]
    overall = getattr(evaluation.model.test, drawn)
    return [
        figure(
            segments_figure(found, drawn, names[0], overall, task.most),
            f"Hollow: {task.page.small}, too few to conclude much.",
            f"{names[0]} by group of rows",
        ),
        table(["field", "group", "rows", *names, "sample"], rows),
    ]


def _learning(loss: str, hyper: Hyperparameters, learned: Learned) -> list[Markup]:
    """The losses by epoch."""
    fitted = learned.fitted
    if not fitted.history:
        return [text("The model was fitted at once, and has no epochs.")]
    ended = (
        f"The fit ended after {len(fitted.history)} epochs, {hyper.patience} after the best."
        if len(fitted.history) < hyper.epochs
        else f"The fit ran for all its {hyper.epochs} epochs."
    )
    weighted = {
        "none": "",
        "weights": " The rarer outcome weighs more in the training loss.",
        "resample": " The training rows are drawn so that all outcomes are equally frequent.",
        "smote": " The training rows have made-up ones among them: all outcomes are as frequent.",
    }[hyper.imbalance]
    losses, rates = learning_figures(fitted.history, fitted.best, loss)
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
    page, schema = problem.task.page, problem.schema
    parts = {name: page.part(problem.target[rows]) for name, rows in split.parts().items()}
    spans = problem.spans(split)
    rows = [
        (name, len(split.parts()[name]), *spans.get(name, ()), *part.values())
        for name, part in parts.items()
    ]
    notes = [*problem.notes, *learned.notes]
    return [
        facts(
            [
                ("rows", len(problem.frame)),
                ("number fields", len(schema.numbers)),
                ("category fields", len(schema.categories)),
                *([("date fields", len(schema.dates))] if schema.dates else []),
                *([("text fields", len(schema.texts))] if schema.texts else []),
                ("target", schema.target),
                ("features", len(learned.data.outputs)),
                ("edges", sum(len(each) for each in learned.edges)),
            ]
        ),
        text(_how_split(problem, split)),
        table(["part", "rows", *(["from", "to"] if spans else []), *parts["train"]], rows),
        *(text(note, "warning") for note in notes),
        table(
            ["feature", "edges, in its scaled units"],
            [
                (name, ", ".join(f"{edge:.3g}" for edge in edges))
                for name, edges in zip(learned.data.outputs, learned.edges, strict=True)
            ],
        ),
    ]


def _how_split(problem: Problem, split: Split) -> str:
    time, gap = problem.schema.time, problem.schema.gap_days
    if time is None:
        return "The parts were drawn at random, and are alike in the outcome."
    between = len(problem.frame) - sum(map(len, split.parts().values()))
    apart = (
        f" Two parts lie more than {gap:g} days apart, because an outcome is known after so many; "
        f"the {between} rows between them are in none."
        if gap
        else ""
    )
    return (
        f"The rows are split by time, the dates of {time!r}: the oldest to train, the next to "
        "validate, the newest to test. Rows of one date are in one part." + apart
    )


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
