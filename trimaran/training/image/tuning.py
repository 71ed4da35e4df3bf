"""Fine-tuning the last stages with the head, resumed from a checkpoint where it was killed.

AdamW, with a lower rate for the stages than for the head, on changed views of the training part.
Batch normalisation keeps the statistics that it has: those of a few photographs would be worse. The
weights of the epoch with the least log loss on the validation part are kept, and training stops
some epochs after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trimaran.training.efficientnet_lite0 import SETTINGS, EfficientNetLite0
from trimaran.training.image.augmenting import augmented
from trimaran.training.image.fitting import VIEWS, probabilities
from trimaran.training.image.photographs import Photographs
from trimaran.training.progress import Watch
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.evaluation.multiclass_metrics import score_classes
from trimaran.training.tabular.learning.checkpoints import load_tensors, save_tensors

__all__ = ["CHECKPOINT", "Tuning", "tune"]

CHECKPOINT = "checkpoint.pt"

_KEPT_STEPS = 25
"""Steps between two checkpoints, besides one after each epoch."""

State = dict[str, Any]


@dataclass(frozen=True)
class Tuning:
    """How the network is fine-tuned."""

    epochs: int = 8
    """The most."""
    patience: int = 2
    """Epochs without a lower log loss after which training stops."""
    frozen_blocks: int = 11
    """Of sixteen: the last two stages are fine-tuned."""
    batch_size: int = 32
    head_rate: float = 3e-4
    stages_rate: float = 1e-4
    weight_decay: float = 0.01


def tune(
    module: EfficientNetLite0,
    begun: float,
    data: Photographs,
    parts: Split,
    tuning: Tuning,
    seed: int,
    directory: Path,
    watch: Watch,
) -> list[float]:
    """Fine-tune the module in place; the log loss on the validation part by epoch.

    Where no epoch has less than `begun`, the loss before, the module is left as it was. The
    checkpoint in `directory` is read where there is one, and stays.
    """
    first, last = _halves(module, tuning.frozen_blocks)
    optimizer = torch.optim.AdamW(
        [
            {"params": list(last.parameters()), "lr": tuning.stages_rate},
            {"params": list(module.classifier.parameters()), "lr": tuning.head_rate},
        ],
        weight_decay=tuning.weight_decay,
    )
    per_epoch = math.ceil(len(parts.train) / tuning.batch_size)
    path = directory / CHECKPOINT
    if path.is_file():
        state: State = load_tensors(path)
        module.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    else:
        state = {"step": 0, "losses": [], "best": _copied(module)}
    target = torch.from_numpy(data.target)
    while not _is_done(begun, state["losses"], tuning):
        epoch, place = divmod(state["step"], per_epoch)
        watch(f"epoch {epoch + 1} of at most {tuning.epochs}", place, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(parts.train)
        rows = order[place * tuning.batch_size : (place + 1) * tuning.batch_size]
        torch.manual_seed(seed + state["step"])  # dropout's
        with torch.no_grad():
            seen = first(_changed(data, rows, epoch, seed))
        features = functional.dropout(last(seen).mean(dim=(2, 3)), module.dropout.p)
        optimizer.zero_grad()
        functional.cross_entropy(module.classifier(features), target[rows]).backward()
        optimizer.step()
        state["step"] += 1
        ended = place + 1 == per_epoch
        if ended:
            guessed = probabilities(module, data, parts.validation, watch, "validating")
            found = score_classes(data.target[parts.validation], guessed, data.classes)
            state["losses"].append(found.log_loss)
            if found.log_loss == min(begun, *state["losses"]):
                state["best"] = _copied(module)
        if ended or state["step"] % _KEPT_STEPS == 0:
            live = {"network": module.state_dict(), "optimizer": optimizer.state_dict()}
            save_tensors(path, {**state, **live})
    module.load_state_dict(state["best"])
    return list(state["losses"])


def _is_done(begun: float, losses: list[float], tuning: Tuning) -> bool:
    every = [begun, *losses]
    since = len(every) - 1 - every.index(min(every))
    return len(losses) >= tuning.epochs or since >= tuning.patience


def _halves(module: EfficientNetLite0, frozen: int) -> tuple[nn.Module, nn.Module]:
    """The stages that stay as they are, and those that are fine-tuned, without the classifier."""
    blocks = list(module.blocks)
    return (
        nn.Sequential(module.stem, *blocks[:frozen]),
        nn.Sequential(*blocks[frozen:], module.head),
    )


def _changed(data: Photographs, rows: np.ndarray, epoch: int, seed: int) -> Tensor:
    """Views of photographs that no other epoch has, and the head was not fitted to."""
    views = (
        augmented(
            data.data(int(row)), SETTINGS, np.random.default_rng((seed, VIEWS + 1 + epoch, row))
        )
        for row in rows
    )
    return torch.from_numpy(np.stack(list(views)))


def _copied(module: nn.Module) -> State:
    return {name: value.clone() for name, value in module.state_dict().items()}
