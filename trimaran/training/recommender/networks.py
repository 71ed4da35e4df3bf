"""The networks that recommend, from what a user has chosen so far.

A history is int64 `[batch, length]`: items from 1, negative where they were not liked, and 0 as
padding. So a network holds nothing of a user, and answers one that it never saw.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["NETWORKS", "LinearItems", "Popularity", "Recommender", "TwoTowers", "network_of"]

_ORDER_STEP = 1e-12
"""Far below a difference of two scores, and above the rounding of a float64."""
_DEVIATION = 0.05


class Recommender(nn.Module):
    """The best items that a user has not seen; by popularity where the user likes nothing yet.

    `counts` are how many users liked each item, int64 `[items]`. Of equal scores the more popular
    item comes first, and then the one of the lower number. A served network computes in float64,
    so that the order does not depend on the runtime that adds the scores up.
    """

    popularity: Tensor
    order: Tensor

    def __init__(self, counts: Tensor, top: int) -> None:
        super().__init__()
        self.top = top
        shares = counts.double() / counts.sum().clamp(min=1)
        rank = torch.argsort(torch.argsort(-counts, stable=True), stable=True)
        self.register_buffer("popularity", shares)
        self.register_buffer("order", -_ORDER_STEP * rank.double())

    def preferences(self, liked: Tensor) -> Tensor:
        """The score of every item, `[batch, items]`, from 1 where an item is liked, else 0."""
        raise NotImplementedError

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """Items from 1, int64 `[batch, top]`, best first, and their scores, float32.

        0 with the score 0 stands at the end where the user has seen all others.
        """
        return self.best(history, self.top)

    def best(self, history: Tensor, top: int) -> tuple[Tensor, Tensor]:
        """The same, for another number of items."""
        items = history.abs()
        seen = self._marked(items, torch.ones_like(items)) > 0
        liked = self._marked(items, (history > 0).to(items.dtype)) > 0
        known = liked.any(1, keepdim=True)
        scores = torch.where(known, self.preferences(liked.double()), self.popularity)
        masked = torch.where(seen, -torch.inf, scores + self.order)
        found, places = masked.topk(top)
        is_new = found > -torch.inf
        return torch.where(is_new, places + 1, 0), torch.where(is_new, found, 0.0).float()

    def _marked(self, items: Tensor, marks: Tensor) -> Tensor:
        """Marks summed by item, int64 `[batch, items]`, without those of padding."""
        zeros = torch.zeros(items.shape[0], self.order.shape[0] + 1, dtype=marks.dtype)
        return zeros.scatter_add(1, items, marks)[:, 1:]


class Popularity(Recommender):
    """The same for everyone: the share that an item has of all likes."""

    def preferences(self, liked: Tensor) -> Tensor:
        return self.popularity.expand(liked.shape[0], -1)


class LinearItems(Recommender):
    """A linear regression of each item on all others: EASE.

    H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (2019).
    """

    weights: Tensor

    def __init__(self, counts: Tensor, top: int, width: int = 0) -> None:
        super().__init__(counts, top)
        self.register_buffer("weights", torch.zeros(len(counts), len(counts)))

    def preferences(self, liked: Tensor) -> Tensor:
        return liked @ self.weights.to(liked.dtype)


class TwoTowers(Recommender):
    """A vector of the user, made of those of the liked items, times a vector of each item.

    X. Ning and G. Karypis' SLIM with factors, as in S. Kabbur et al., "FISM" (2013), trained on
    the multinomial likelihood of D. Liang et al., "Variational Autoencoders for Collaborative
    Filtering" (2018).
    """

    def __init__(self, counts: Tensor, top: int, width: int = 64) -> None:
        super().__init__(counts, top)
        items = len(counts)
        self.chosen = nn.Parameter(torch.randn(items, width) * _DEVIATION)
        self.offered = nn.Parameter(torch.randn(items, width) * _DEVIATION)
        self.user_bias = nn.Parameter(torch.zeros(width))
        self.item_bias = nn.Parameter(
            (counts.float() + 1).log() - (counts.float() + 1).log().mean()
        )

    def preferences(self, liked: Tensor) -> Tensor:
        size = liked.sum(1, keepdim=True).clamp(min=1).sqrt()
        user = (liked @ self.chosen) / size + self.user_bias
        return user @ self.offered.T + self.item_bias


NETWORKS = {"ease": LinearItems, "towers": TwoTowers}
"""By model."""


def network_of(model: str, top: int, width: int, state: Mapping[str, Tensor]) -> Recommender:
    """The network of the model `ease` or `towers` with its weights, as it is served.

    Raises `KeyError` and `RuntimeError` for a state that is not of such a network.
    """
    counts = torch.zeros(len(state["popularity"]), dtype=torch.int64)
    network = NETWORKS[model](counts, top, width)
    network.load_state_dict(dict(state))
    return network.double().eval()
