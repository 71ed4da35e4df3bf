"""A head on the frozen backbone: a logistic regression on what it sees of photographs.

It is fitted to the training part as it is and to changed views of it; the strength C is that of
least log loss on the validation part. Fine-tuning begins with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import nn

from trimaran.served.decoding import ImageSettings, to_tensor
from trimaran.training.efficientnet_lite0 import SETTINGS, EfficientNetLite0
from trimaran.training.image.augmenting import augmented
from trimaran.training.image.photographs import Photographs
from trimaran.training.pieces import in_pieces
from trimaran.training.progress import Watch
from trimaran.training.tabular.data.split import Split

__all__ = ["PIECES", "STRENGTHS", "VIEWS", "fit_head", "probabilities", "with_classes"]

PIECES = "features"
"""The name of the pieces that are kept of what the backbone sees."""
VIEWS = 2
"""Changed views of each photograph of the training part."""
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_ITERATIONS = 2_000
_BATCH = 16

Floats = npt.NDArray[np.float32]


def with_classes(module: EfficientNetLite0, classes: int) -> EfficientNetLite0:
    """The module with a new head, in place; its weights lie as convolutions on a CPU like them."""
    module.classifier = nn.Linear(module.classifier.in_features, classes)
    laid: EfficientNetLite0 = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return laid.eval()


def fit_head(
    module: EfficientNetLite0,
    data: Photographs,
    parts: Split,
    seed: int,
    directory: Path,
    watch: Watch,
) -> dict[str, float]:
    """Fit the head in place; the log loss on the validation part by C.

    What the backbone sees is kept in `directory` until the run is finished.
    """
    views = [(int(row), 0) for row in (*parts.train, *parts.validation)]
    views += [(int(row), view) for view in range(1, VIEWS + 1) for row in parts.train]

    def compute(places: Sequence[int]) -> Floats:
        found = []
        for start in range(0, len(places), _BATCH):
            watch("frozen backbone", places[start], len(views))
            chosen = [views[place] for place in places[start : start + _BATCH]]
            images = np.stack([_view(data, row, view, seed) for row, view in chosen])
            with torch.inference_mode():
                found.append(module.features(torch.from_numpy(images)).numpy())
        return np.concatenate(found)

    seen = in_pieces(directory, PIECES, np.arange(len(views)), compute, watch, "frozen backbone")
    target = np.array([data.target[row] for row, _ in views])
    validated = slice(len(parts.train), len(parts.train) + len(parts.validation))
    trained = np.ones(len(views), np.bool_)
    trained[validated] = False
    losses: dict[str, float] = {}
    best = None
    for place, strength in enumerate(STRENGTHS):
        watch("fitting the head", place, len(STRENGTHS))
        model = LogisticRegression(C=strength, max_iter=_ITERATIONS)
        model.fit(seen[trained], target[trained])
        guessed = model.predict_proba(seen[validated])
        name = f"C {strength:g}"
        losses[name] = float(
            log_loss(target[validated], guessed, labels=np.arange(len(data.classes)))
        )
        if best is None or losses[name] == min(losses.values()):
            best = model
    _put(module.classifier, best)
    return losses


def probabilities(
    module: nn.Module,
    data: Photographs,
    rows: npt.NDArray[np.int64],
    watch: Watch,
    what: str,
    settings: ImageSettings = SETTINGS,
) -> Floats:
    """float32 `[rows, classes]`, of photographs prepared as they are when they are served."""
    found = []
    for start in range(0, len(rows), _BATCH):
        watch(what, start, len(rows))
        images = [to_tensor(data.data(int(row)), settings) for row in rows[start : start + _BATCH]]
        with torch.inference_mode():
            logits = module(torch.from_numpy(np.stack(images)))
        found.append(logits.softmax(dim=1).numpy())
    return np.concatenate(found)


def _view(data: Photographs, row: int, view: int, seed: int) -> np.ndarray:
    file = data.data(row)
    if not view:
        return to_tensor(file, SETTINGS)
    return augmented(file, SETTINGS, np.random.default_rng((seed, view, row)))


def _put(head: nn.Linear, model: LogisticRegression) -> None:
    """A regression's coefficients; of two classes it has those of the second less the first."""
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight.astype(np.float32)))
        head.bias.copy_(torch.from_numpy(bias.astype(np.float32)))
