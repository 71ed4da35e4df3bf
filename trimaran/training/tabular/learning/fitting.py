"""Fitting a network to rows, epoch by epoch; a killed fit can be resumed.

After every epoch a checkpoint holds everything that the next epoch depends on: weights, averaged
weights, optimizer, schedule, the best weights so far, history, and the states of the random
numbers. A resumed fit ends in the same bits as one that was never interrupted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, WeightedRandomSampler

from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.learning.checkpoints import load_tensors, save_tensors
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.networks import Edges, Network, build_network
from trimaran.training.tabular.tasks.heads import Head
from trimaran.training.tabular.tasks.task import Predictions, Target

__all__ = [
    "DivergedError",
    "Epoch",
    "Fitted",
    "Rows",
    "batches",
    "best_epoch",
    "fit",
    "is_over",
    "learning_rate_factor",
    "predict",
]

_LEAST_GAIN = 1e-5
_ROWS_AT_ONCE = 65536


class DivergedError(TrimaranError):
    """The loss of an epoch is infinite or NaN."""


@dataclass(frozen=True)
class Epoch:
    """The results of one pass over the rows. Losses are means over rows, of the task's head."""

    train_loss: float
    """The loss that is minimised: with dropout, weights and resampling."""
    validation_loss: float
    """The loss of the averaged weights."""
    learning_rate: float
    """After the epoch's last step."""


@dataclass(frozen=True)
class Fitted:
    """The weights of the best epoch, and every epoch."""

    network: nn.Module
    """In eval mode."""
    history: tuple[Epoch, ...] = ()
    """None of a model that is no network."""
    best: int = -1
    """The best epoch, from 0."""


@dataclass(frozen=True)
class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Features, float32 `[rows, columns]`, and what the head's loss takes, `[rows]`."""

    features: Tensor
    target: Tensor

    @classmethod
    def of(cls, head: Head, features: npt.NDArray[np.float32], target: Target) -> Rows:
        """Rows of arrays, copied."""
        return cls(torch.tensor(features), head.labels(target))

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: int | Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.features[rows], self.target[rows]


def batches(
    rows: Rows, batch_size: int, weights: Sequence[float] | None, order: torch.Generator
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Each iteration gives one epoch's batches, in an order that only `order` decides.

    With `weights`, one for each row, rows are drawn with replacement, as often as those say. A last
    batch of a single row is left out, since a batch norm cannot learn from it.
    """
    sampler: RandomSampler | WeightedRandomSampler
    if weights is not None:
        sampler = WeightedRandomSampler(weights, len(rows), generator=order)
    else:
        sampler = RandomSampler(rows, generator=order)
    whole = BatchSampler(sampler, batch_size, drop_last=len(rows) % batch_size == 1)
    # The loader draws a seed for worker processes at each epoch, though there are none. A separate
    # generator keeps that draw from changing the random numbers of dropout.
    return DataLoader(rows, batch_size=None, sampler=whole, generator=torch.Generator())


def learning_rate_factor(step: int, warmup_steps: int, steps: int) -> float:
    """The factor of the highest learning rate: a linear warm-up, times half a cosine."""
    warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    return warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / steps)))


def best_epoch(losses: Sequence[float]) -> int:
    """The last epoch, from 0, whose validation loss beat all earlier ones by more than 1e-5."""
    best, lowest = 0, math.inf
    for epoch, loss in enumerate(losses):
        if loss < lowest - _LEAST_GAIN:
            best, lowest = epoch, loss
    return best


def is_over(losses: Sequence[float], epochs: int, patience: int) -> bool:
    """Whether a fit with these validation losses has ended."""
    return len(losses) >= epochs or len(losses) - 1 - best_epoch(losses) >= patience


def predict(head: Head, network: nn.Module, features: Tensor) -> Predictions:
    """What a network in eval mode says of each row."""
    with torch.no_grad(), _one_thread():
        parts = [head.predictions(network(part)) for part in features.split(_ROWS_AT_ONCE)]
        return torch.cat(parts).numpy()


def fit(
    head: Head,
    hyper: Hyperparameters,
    edges: Edges,
    train: Rows,
    validation: Rows,
    seed: int,
    checkpoint: Path | None = None,
    watch: Callable[[int, Epoch, Predictions], None] | None = None,
) -> Fitted:
    """Fit a network, or resume the fit that `checkpoint` holds.

    `watch` is called after each epoch, with its number from 0 and the validation rows'
    predictions; an exception from it ends the fit. Raises `DivergedError`, and `TrimaranError`
    for the checkpoint of another training. Torch's random numbers and thread count are restored.
    """
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        state = _State(head, hyper, build_network(hyper, edges, head.outputs), train, seed)
        if checkpoint is not None and checkpoint.is_file():
            state.restore(load_tensors(checkpoint), checkpoint)
        while not is_over(state.losses, hyper.epochs, hyper.patience):
            train_loss = state.train_epoch()
            predictions = predict(head, state.averaged, validation.features)
            loss = _validation_loss(head, state.averaged, validation)
            epoch = Epoch(train_loss, loss, state.rate)
            if not math.isfinite(epoch.train_loss + epoch.validation_loss):
                raise DivergedError(
                    f"the loss of epoch {len(state.history) + 1} is not finite; lower the learning "
                    f"rate, which is {hyper.learning_rate:g}"
                )
            state.add(epoch)
            if checkpoint is not None:
                save_tensors(checkpoint, state.values())
            if watch is not None:
                watch(len(state.history) - 1, epoch, predictions)
        return state.fitted()


class _State:
    """The state that changes during a fit."""

    def __init__(
        self, head: Head, hyper: Hyperparameters, network: Network, train: Rows, seed: int
    ) -> None:
        self.head, self.hyper, self.network = head, hyper, network
        self.averaged = copy.deepcopy(network).eval()
        self.best = copy.deepcopy(network.state_dict())
        self.history: list[Epoch] = []
        self.order = torch.Generator().manual_seed(seed)
        resampled = hyper.imbalance == "resample"
        weights = head.row_weights(train.target) if resampled else None
        self.loader = batches(train, hyper.batch_size, weights, self.order)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=hyper.learning_rate, weight_decay=hyper.weight_decay
        )
        per_epoch = len(self.loader)
        warmup, steps = hyper.warmup_epochs * per_epoch, hyper.epochs * per_epoch
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: learning_rate_factor(step, warmup, steps)
        )
        self.steps = 0
        weighted = hyper.imbalance == "weights"
        self.weight = head.balance(train.target) if weighted else None

    @property
    def losses(self) -> list[float]:
        return [epoch.validation_loss for epoch in self.history]

    @property
    def rate(self) -> float:
        return float(self.schedule.get_last_lr()[0])

    def train_epoch(self) -> float:
        """One pass; the mean loss over its rows."""
        self.network.train()
        total, rows = 0.0, 0
        for features, target in self.loader:
            logits = self.network.members(features)
            loss = self.head.loss(logits, target, self.weight)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), self.hyper.clip_norm)
            self.optimizer.step()
            self.schedule.step()
            self.steps += 1
            self._average()
            total += loss.item() * len(target)
            rows += len(target)
        return total / rows

    def _average(self) -> None:
        """Move the averaged weights. The decay rises slowly, so that the first steps count."""
        decay = min(self.hyper.ema, (1 + self.steps) / (10 + self.steps))
        live = self.network.state_dict()
        with torch.no_grad():
            for name, value in self.averaged.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(live[name], 1 - decay)

    def add(self, epoch: Epoch) -> None:
        self.history.append(epoch)
        if best_epoch(self.losses) == len(self.history) - 1:
            self.best = copy.deepcopy(self.averaged.state_dict())

    def fitted(self) -> Fitted:
        self.averaged.load_state_dict(self.best)
        return Fitted(self.averaged, tuple(self.history), best_epoch(self.losses))

    def values(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "steps": self.steps,
            "history": [asdict(epoch) for epoch in self.history],
            "order": self.order.get_state(),
            "dropout": torch.get_rng_state(),
        }

    def restore(self, values: dict[str, Any], source: Path) -> None:
        try:
            self.network.load_state_dict(values["network"])
            self.averaged.load_state_dict(values["averaged"])
            self.best = dict(values["best"])
            self.optimizer.load_state_dict(values["optimizer"])
            self.schedule.load_state_dict(values["schedule"])
            self.steps = values["steps"]
            self.history = [Epoch(**epoch) for epoch in values["history"]]
            self.order.set_state(values["order"])
            torch.set_rng_state(values["dropout"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise TrimaranError(
                f"the checkpoint {source} belongs to another training; delete it to train again"
            ) from error


def _validation_loss(head: Head, network: Network, rows: Rows) -> float:
    with torch.no_grad():
        losses = [
            head.loss(network(part), target, None, reduction="sum")
            for part, target in zip(
                rows.features.split(_ROWS_AT_ONCE), rows.target.split(_ROWS_AT_ONCE), strict=True
            )
        ]
    return float(torch.stack(losses).sum()) / len(rows)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch: the order of its sums, and so the last bits, depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
