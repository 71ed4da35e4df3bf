"""The report on a training, as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from markupsafe import Markup
from matplotlib.figure import Figure

from trimaran.pages.figures import INK, NEGATIVE, PANEL, POSITIVE, TEXT, plain_axes
from trimaran.pages.page import Page, facts, figure, legend, table, text
from trimaran.served.histories import padded_histories
from trimaran.training.recommender.data import Choices
from trimaran.training.recommender.evaluation import METRIC_NAMES, Scores
from trimaran.training.recommender.networks import Recommender

__all__ = ["report"]

_MODELS = {
    "ease": "EASE, a linear regression of each item on all others",
    "towers": "two towers, a vector of the user times one of each item",
}
_GROUPS = 5
_SHOWN_USERS, _SHOWN_ITEMS = 5, 5

Items = npt.NDArray[np.int64]


def report(
    data: Choices,
    given: Sequence[Items],
    sought: Sequence[Items],
    network: Recommender,
    metrics: Mapping[str, Any],
    own: Scores,
    popularity: Scores,
) -> str:
    """The page as HTML.

    `given` are the histories that the test part was answered from, and `sought` what its users
    like.
    """
    model = metrics["model"]
    page = Page(
        f"{data.name}: {model}, seed {metrics['seed']}", f"{_MODELS[model]}, on {data.source}"
    )
    page.section("Result", *_headline(metrics))
    page.section("Compared with simpler models", *_comparison(metrics))
    page.section("Users with few choices, and with many", *_by_size(given, own, popularity))
    page.section("Recommendations", *_examples(data, given, sought, network, own))
    page.section("Data", *_data(data, metrics))
    return page.html()


def _headline(metrics: Mapping[str, Any]) -> list[Markup]:
    low, high = metrics["intervals"]["ndcg"]
    gain, least, most = metrics["gain_over_popularity"]["ndcg"]
    verdict = (
        "The interval of the gain is above 0."
        if least > 0
        else "The interval of the gain holds 0: this table does not show that the model is better "
        "than popularity."
        if most >= 0
        else "The interval of the gain is below 0: popularity is better."
    )
    return [
        facts(
            [
                *((METRIC_NAMES[name], f"{metrics['test'][name]:.3f}") for name in METRIC_NAMES),
                ("95 % interval of NDCG@10", f"{low:.3f}\N{EN DASH}{high:.3f}"),
                ("gain over popularity", f"{gain:+.3f}"),
                ("its interval", f"{least:+.3f} to {most:+.3f}"),
            ]
        ),
        text(
            f"Means over {metrics['users']['tested']:,} users who like something in the test part, "
            "which was scored once. Intervals are from 2,000 bootstrap resamples of these users. "
            f"{verdict}"
        ),
    ]


def _comparison(metrics: Mapping[str, Any]) -> list[Markup]:
    scored = {metrics["model"]: metrics["test"], **metrics["baselines"]}
    rows = [
        (
            name,
            *(f"{each[metric]:.3f}" for metric in METRIC_NAMES),
            f"{metrics['validation_ndcg'][name]:.3f}",
            each["items"],
        )
        for name, each in scored.items()
    ]
    headers = [
        "test part", *METRIC_NAMES.values(), "validation NDCG@10", "different items recommended"
    ]  # fmt: skip
    return [
        table(headers, rows),
        text(
            "popularity recommends to everyone the items that most users of the training part "
            "like, without those that the user has seen. Recall cannot reach 1 for a user who "
            "likes more than ten items of the part."
        ),
    ]


def _by_size(given: Sequence[Items], own: Scores, popularity: Scores) -> list[Markup]:
    """NDCG of users, in groups by how much they had chosen before."""
    sizes = np.array([len(given[user]) for user in own.users])
    groups = np.array_split(np.argsort(sizes, kind="stable"), _GROUPS)
    names = [f"{sizes[each].min()} to {sizes[each].max()}" for each in groups]
    drawn = Figure(figsize=(PANEL, 3.2), layout="constrained")
    axes = drawn.subplots()
    plain_axes(axes)
    axes.set_title("NDCG@10", loc="left", fontsize=TEXT, color=INK)
    for place, (scores, colour) in enumerate(((popularity, NEGATIVE), (own, POSITIVE))):
        heights = [scores.ndcg[each].mean() for each in groups]
        axes.bar(np.arange(_GROUPS) + 0.4 * place, heights, width=0.38, color=colour)
    axes.set_xticks(np.arange(_GROUPS) + 0.2, names)
    axes.set_xlabel("items that the user had chosen")
    return [
        legend([("popularity", "negative"), ("the model", "positive")]),
        figure(
            drawn,
            "Five equally large groups of users.",
            "NDCG of the model and of popularity by the length of the history",
        ),
    ]


def _examples(
    data: Choices,
    given: Sequence[Items],
    sought: Sequence[Items],
    network: Recommender,
    own: Scores,
) -> list[Markup]:
    """The first items for users at even distances between the worst and the best answered."""
    order = np.argsort(own.ndcg, kind="stable")
    chosen = own.users[order[np.linspace(0, len(order) - 1, _SHOWN_USERS).astype(int)]]
    with torch.inference_mode():
        rows = padded_histories([given[user] for user in chosen])
        found = network.best(torch.from_numpy(rows), _SHOWN_ITEMS)[0].numpy()
    lines = []
    for user, items in zip(chosen, found, strict=True):
        liked = [data.items[each - 1] for each in given[user] if each > 0][-_SHOWN_ITEMS:]
        hits = set(sought[user] + 1)
        answers = [
            f"{data.items[each - 1]}{' (found)' if each in hits else ''}" for each in items if each
        ]
        lines.append((data.users[user], "; ".join(liked), "; ".join(answers)))
    return [
        table(["user", "liked last", "recommended first"], lines),
        text(
            "Users from the worst answered to the best. (found) marks what the user likes in the "
            "test part."
        ),
    ]


def _data(data: Choices, metrics: Mapping[str, Any]) -> list[Markup]:
    users, items = len(data.users), len(data.items)
    return [
        table(["part", "rows"], list(metrics["rows"].items())),
        text(
            f"{users:,} users, {items:,} items, {len(data.user):,} rows: "
            f"{len(data.user) / users / items:.2%} of all pairs. Of each user the last fifth of "
            "the rows is the test part, and the tenth before it the validation part."
        ),
        *(text(f"{note[0].upper()}{note[1:]}.") for note in data.notes),
    ]
