"""Fine-tuning an encoder with its head, resumed from a checkpoint where it was killed.

AdamW with a linear warm-up and decline, in batches of texts of like length. The word embeddings
stay as they are, so words that the training part lacks keep their place among the others. The
weights of the epoch with the least log loss on the validation part are kept.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import log_loss
from torch.nn import functional

from trimaran.served.tokens import Encoding, padded
from trimaran.system.files import write_bytes
from trimaran.training.progress import Watch
from trimaran.training.text.data import Flags, Parts
from trimaran.training.text.networks import EncoderClassifier, probabilities

__all__ = ["CHECKPOINT", "Tuning", "tune"]

CHECKPOINT = "checkpoint.pt"

_KEPT_STEPS = 25
"""Steps between two checkpoints."""
_SORTED_BATCHES = 8
"""Batches among whose texts those of like length are put together."""
_MOST_NORM = 1.0

State = dict[str, Any]


@dataclass(frozen=True)
class Tuning:
    """How an encoder is fine-tuned."""

    epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    """Of all steps."""
    length: int = 96
    """Tokens of a text that training reads; scores and answers read all that are served."""


def tune(
    network: EncoderClassifier,
    begun: float,
    encoding: Encoding,
    tokens: Sequence[Sequence[int]],
    target: Flags,
    parts: Parts,
    tuning: Tuning,
    seed: int,
    directory: Path,
    watch: Watch,
) -> list[float]:
    """Fine-tune the network in place; the log loss on the validation part by epoch.

    Where no epoch has less than `begun`, the loss before, the network is left as it was. The
    checkpoint in `directory` is read where there is one, and stays.
    """
    cut = [list(row)[: tuning.length] for row in tokens]
    validated = [tokens[row] for row in parts.validation]

    def loss() -> float:
        guessed = probabilities(network, encoding, validated, partial(watch, "validating"))
        return float(log_loss(target[parts.validation], guessed.astype(np.float64)))

    trained = [p for n, p in network.named_parameters() if "embeddings.words" not in n]
    optimizer = torch.optim.AdamW(
        trained, lr=tuning.learning_rate, weight_decay=tuning.weight_decay
    )
    per_epoch = math.ceil(len(parts.train) / tuning.batch_size)
    total = per_epoch * tuning.epochs
    path = directory / CHECKPOINT
    if path.is_file():
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    else:
        state = {"step": 0, "losses": [], "best": _copied(network)}
    for step in range(state["step"], total):
        epoch, place = divmod(step, per_epoch)
        watch(f"epoch {epoch + 1} of {tuning.epochs}", step, total)
        rows = _batches(parts.train, cut, tuning.batch_size, seed + epoch)[place]
        for group in optimizer.param_groups:
            group["lr"] = tuning.learning_rate * _share(step, total, tuning.warmup)
        batch = [cut[row] for row in rows]
        logits = network.logits(torch.from_numpy(padded(batch, max(map(len, batch)))))
        wanted = torch.from_numpy(target[rows].astype(np.float32))
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(logits[:, 0], wanted).backward()
        torch.nn.utils.clip_grad_norm_(trained, _MOST_NORM)
        optimizer.step()
        if place + 1 == per_epoch:
            state["losses"].append(loss())
            if state["losses"][-1] == min(begun, *state["losses"]):
                state["best"] = _copied(network)
        if place + 1 == per_epoch or (step + 1) % _KEPT_STEPS == 0:
            state["step"] = step + 1
            live = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            buffer = io.BytesIO()
            torch.save({**state, **live}, buffer)
            write_bytes(path, buffer.getvalue())
    network.load_state_dict(state["best"])
    return list(state["losses"])


def _copied(network: EncoderClassifier) -> State:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _share(step: int, total: int, warmup: float) -> float:
    """The learning rate's share of its highest value."""
    rising = max(1, round(total * warmup))
    if step < rising:
        return (step + 1) / rising
    return (total - step) / max(1, total - rising)


def _batches(
    train: npt.NDArray[np.int64], tokens: Sequence[Sequence[int]], size: int, seed: int
) -> list[npt.NDArray[np.int64]]:
    """The rows of each batch of an epoch, in an order by the seed."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(train)
    batches = []
    for start in range(0, len(order), size * _SORTED_BATCHES):
        near = order[start : start + size * _SORTED_BATCHES]
        near = near[np.argsort([len(tokens[row]) for row in near], kind="stable")]
        batches += [near[place : place + size] for place in range(0, len(near), size)]
    return [batches[place] for place in generator.permutation(len(batches))]
