"""How good recommendations are: NDCG, recall and hit rate of the first ten, user by user.

Of a user who likes `n` items of the part:

- recall is the share of the `n` items that are among the ten;
- the hit rate is 1 where any of them is, else 0;
- NDCG adds 1 / log2(place + 1) for each that is, and divides by the most that can be reached.
  K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from trimaran.served.histories import padded_histories
from trimaran.stats.bootstrap import percentile_interval
from trimaran.training.recommender.networks import Recommender

__all__ = ["METRIC_NAMES", "TOP", "Scores", "evaluate", "intervals", "judge"]

TOP = 10
METRIC_NAMES = {"ndcg": "NDCG@10", "recall": "recall@10", "hit": "hit rate@10"}
_BATCH = 128
_RESAMPLES = 2_000

Floats = npt.NDArray[np.float64]
Items = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """The metrics of each user who likes something in the part, float64 `[users]` each."""

    users: Items
    """The places of these users, ascending."""
    ndcg: Floats
    recall: Floats
    hit: Floats
    items: int
    """How many different items were recommended to them."""

    def means(self) -> dict[str, float]:
        """The mean of each metric."""
        return {name: float(getattr(self, name).mean()) for name in METRIC_NAMES}


def evaluate(
    network: Recommender,
    histories: Sequence[Items],
    wanted: Sequence[Items],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Scores:
    """The scores of users with these histories, who like what is `wanted`, places from 0.

    `progress` is called with the users that are done, and all of them.
    """
    users = np.array([place for place, each in enumerate(wanted) if len(each)], np.int64)
    found = np.empty((len(users), TOP), np.int64)
    order = np.argsort([len(histories[user]) for user in users], kind="stable")
    with torch.inference_mode():
        for start in range(0, len(users), _BATCH):
            progress(start, len(users))
            batch = order[start : start + _BATCH]
            rows = padded_histories([histories[user] for user in users[batch]])
            found[batch] = network.best(torch.from_numpy(rows), TOP)[0].numpy() - 1
    ndcg, recall, hit = judge(found, [wanted[user] for user in users])
    return Scores(users, ndcg, recall, hit, len(np.unique(found[found >= 0])))


def judge(found: Items, wanted: Sequence[Items]) -> tuple[Floats, Floats, Floats]:
    """NDCG, recall and hit of recommended items `[users, 10]`; no list of `wanted` is empty."""
    discounts = 1 / np.log2(np.arange(found.shape[1]) + 2)
    most = np.cumsum(discounts)
    hits = np.stack([np.isin(row, each) for row, each in zip(found, wanted, strict=True)])
    sizes = np.array([len(each) for each in wanted])
    gains: Floats = hits @ discounts
    recall: Floats = hits.sum(axis=1) / sizes
    hit: Floats = np.asarray(hits.any(axis=1), np.float64)
    return gains / most[np.minimum(sizes, found.shape[1]) - 1], recall, hit


def intervals(own: Scores, other: Scores, seed: int) -> dict[str, dict[str, list[float]]]:
    """95 % intervals of each metric: the mean, and how much larger it is than the `other`'s.

    From resamples of the users, who are the same in both.
    """
    names = list(METRIC_NAMES)
    values = np.stack([getattr(own, name) for name in names], axis=1)
    gains = values - np.stack([getattr(other, name) for name in names], axis=1)
    generator = np.random.default_rng(seed)
    means = np.empty((_RESAMPLES, 2, len(names)))
    for resample in range(_RESAMPLES):
        drawn = generator.integers(len(values), size=len(values))
        means[resample] = values[drawn].mean(0), gains[drawn].mean(0)
    return {
        name: {
            "interval": list(percentile_interval(means[:, 0, place])),
            "gain": [float(gains[:, place].mean()), *percentile_interval(means[:, 1, place])],
        }
        for place, name in enumerate(names)
    }
