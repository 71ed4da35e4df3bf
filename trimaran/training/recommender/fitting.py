"""Fitting: the linear model in closed form, and the towers step by step.

Weights come from the training part, and the validation part chooses: the strength of EASE's
penalty, or the epoch of the towers, by NDCG@10.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trimaran.system.files import write_bytes
from trimaran.training.recommender.data import Choices
from trimaran.training.recommender.evaluation import evaluate
from trimaran.training.recommender.networks import LinearItems, Popularity, Recommender, TwoTowers
from trimaran.training.recommender.split import Parts, histories, wanted

__all__ = [
    "CHECKPOINT",
    "MOST_LINEAR",
    "SETTINGS",
    "Fitted",
    "Problem",
    "Watch",
    "fit_linear",
    "fit_towers",
    "state_of",
]

CHECKPOINT = "checkpoint.pt"
MOST_LINEAR = 5_000
"""Items. EASE has a weight for each pair of them."""

_STRENGTHS = (10, 30, 100, 200, 400, 1000, 3000)
_EPOCHS = 60
_PATIENCE = 10
"""Epochs without a better one."""
_BATCH = 128
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 0.1
_WIDTH = 64
_DROPPED = 0.5
"""The share of a user's items that an update does not see."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "ease": {"strengths": list(_STRENGTHS)},
    "towers": {
        "epochs": _EPOCHS,
        "patience": _PATIENCE,
        "batch": _BATCH,
        "learning_rate": _LEARNING_RATE,
        "weight_decay": _WEIGHT_DECAY,
        "dropped": _DROPPED,
        "width": _WIDTH,
    },
}
"""What decides a fit besides the table."""

Watch = Callable[[str, int, int], None]
"""Called with what is being done, how many steps of it are done, and how many there are."""


@dataclass(frozen=True)
class Fitted:
    """A network as it is served, and the validation part's NDCG@10 by what was chosen."""

    network: Recommender
    tried: dict[str, float]


class Problem:
    """A table with its parts, as fitting takes it."""

    def __init__(self, data: Choices, parts: Parts) -> None:
        self.users, self.items = len(data.users), len(data.items)
        liked = parts.train & data.liked
        self.user, self.item = data.user[liked], data.item[liked]
        self.counts = torch.from_numpy(np.bincount(self.item, minlength=self.items))
        self.given = histories(data, parts.train)
        self.wanted = wanted(data, parts.validation)

    def likes(self, users: npt.NDArray[np.int64] | None = None) -> Tensor:
        """1 where a user likes an item, else 0: float32 `[users, items]`."""
        chosen = np.arange(self.users) if users is None else users
        matrix = torch.zeros(len(chosen), self.items)
        starts = np.searchsorted(self.user, [chosen, chosen + 1])
        for row, (begin, end) in enumerate(starts.T):
            matrix[row, self.item[begin:end]] = 1
        return matrix

    def ndcg(self, network: Recommender) -> float:
        """NDCG@10 on the validation part."""
        return evaluate(network, self.given, self.wanted).means()["ndcg"]

    def popularity(self, top: int) -> Recommender:
        """The baseline."""
        return Popularity(self.counts, top).double().eval()


def fit_linear(problem: Problem, top: int, watch: Watch) -> Fitted:
    """EASE with the best penalty; for `MOST_LINEAR` items at most."""
    together = torch.zeros(problem.items, problem.items, dtype=torch.float64)
    for start in range(0, problem.users, _BATCH):
        likes = problem.likes(np.arange(start, min(start + _BATCH, problem.users))).double()
        together += likes.T @ likes
    fitted: dict[str, tuple[float, Recommender]] = {}
    for place, strength in enumerate(_STRENGTHS):
        watch("fitting", place, len(_STRENGTHS))
        inverse = torch.linalg.inv(together + strength * torch.eye(problem.items).double())
        network = LinearItems(problem.counts, top)
        network.weights = (inverse / -inverse.diagonal()).fill_diagonal_(0).float()
        network.double().eval()
        fitted[f"penalty {strength}"] = problem.ndcg(network), network
    _, best = max(fitted.values(), key=lambda each: each[0])
    return Fitted(best, {name: ndcg for name, (ndcg, _) in fitted.items()})


def fit_towers(problem: Problem, top: int, seed: int, directory: Path, watch: Watch) -> Fitted:
    """The towers of the best epoch. The checkpoint in `directory` is read where there is one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TwoTowers(problem.counts, top, _WIDTH)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
    )
    path = directory / CHECKPOINT
    if path.is_file():
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    else:
        state = {"tried": [], "best": {}}
    while len(state["tried"]) < _EPOCHS and not _is_over(state["tried"]):
        epoch = len(state["tried"])
        watch("epochs", epoch, _EPOCHS)
        _update(network, optimizer, problem, torch.Generator().manual_seed(seed * _EPOCHS + epoch))
        state["tried"].append(problem.ndcg(copy.deepcopy(network).double()))
        if state["tried"][-1] == max(state["tried"]):
            state["best"] = {name: each.clone() for name, each in network.state_dict().items()}
        live = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        buffer = io.BytesIO()
        torch.save({**state, **live}, buffer)
        write_bytes(path, buffer.getvalue())
    network.load_state_dict(state["best"])
    tried = {f"epoch {number}": ndcg for number, ndcg in enumerate(state["tried"], 1)}
    return Fitted(network.double().eval(), tried)


def _is_over(tried: list[float]) -> bool:
    return len(tried) - (tried.index(max(tried)) if tried else 0) > _PATIENCE


def _update(
    network: TwoTowers,
    optimizer: torch.optim.Optimizer,
    problem: Problem,
    generator: torch.Generator,
) -> None:
    """One epoch: from half of what a user likes, all of it is to be found."""
    for users in torch.randperm(problem.users, generator=generator).split(_BATCH):
        likes = problem.likes(users.numpy())
        kept = (torch.rand(likes.shape, generator=generator) > _DROPPED).float()
        logits = network.preferences(likes * kept)
        loss = -(logits.log_softmax(1) * likes).sum() / likes.sum().clamp(min=1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def state_of(network: Recommender) -> Mapping[str, Tensor]:
    """The weights to keep: float32 but for what decides between equal scores."""
    exact = {"popularity", "order"}
    return {
        name: (each if name in exact else each.float()).contiguous()
        for name, each in network.state_dict().items()
    }
