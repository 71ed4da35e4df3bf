"""One training from beginning to end, in its own directory.

The directory's name follows from everything that decides the outcome, so the same call finds the
same directory: a finished run is used again, and a killed one goes on where it was.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from trimaran.repository.repository import check_model_name
from trimaran.served.decoding import read
from trimaran.system.errors import UsageError
from trimaran.system.files import exclusive_lock, write_bytes, write_text
from trimaran.training.efficientnet_lite0 import SETTINGS, WEIGHTS, EfficientNetLite0, network
from trimaran.training.image import augmenting
from trimaran.training.image.fitting import (
    PIECES,
    STRENGTHS,
    VIEWS,
    fit_head,
    probabilities,
    with_classes,
)
from trimaran.training.image.folder import shown
from trimaran.training.image.photographs import Photographs, load, split
from trimaran.training.image.report import FINE_TUNED, FROZEN, Judged, Plain, report
from trimaran.training.image.trained import ImageRun
from trimaran.training.image.tuning import CHECKPOINT, Tuning, tune
from trimaran.training.image_data import RESERVED
from trimaran.training.image_reference import LEAST_IMAGES, ImageReference, fixed_bins, reference_of
from trimaran.training.pieces import remove_pieces, saved
from trimaran.training.progress import Watch
from trimaran.training.tabular.data.split import Split
from trimaran.training.tabular.evaluation.multiclass_metrics import (
    macro_f1,
    majority_confusion,
    score_classes,
)
from trimaran.training.tabular.runs.trained import TrainedRun, name_latest

__all__ = ["train", "train_data"]

_LIBRARIES = ("numpy", "pillow", "scikit-learn", "torch")
_SAMPLES = 64


def train(
    folder: str | Path,
    *,
    name: str,
    epochs: int = Tuning.epochs,
    seed: int = 0,
    out: Path = Path("runs"),
    watch: Watch = lambda what, done, total: None,
) -> ImageRun:
    """Train a classifier of photographs below `<out>/<name>`, or find it there.

    `folder` has a sub-folder of photographs for each class, whose name is the label. `name` is what
    the models are called. After a head on the frozen backbone, the last stages are fine-tuned for
    `epochs` at most; with 0 they are not. The run becomes the latest, which is exported. Raises
    `UsageError` for wrong arguments, and `TrimaranError` for a folder that does not fit.
    """
    if epochs < 0:
        raise UsageError(f"epochs is {epochs}; it must be 0 or more")
    check_model_name(name)
    if name in RESERVED:
        raise UsageError(
            f"the name {name!r} is that of models of the included image ensemble; give another one "
            "with --name"
        )
    data = load(Path(folder), name, SETTINGS, watch)
    run = train_data(data, seed, out, Tuning(epochs=epochs), watch)
    name_latest(TrainedRun(run.directory))
    return run


def train_data(
    data: Photographs,
    seed: int,
    out: Path,
    tuning: Tuning,
    watch: Watch = lambda what, done, total: None,
) -> ImageRun:
    """Train on a folder that was read. Two processes with the same work wait for one another."""
    config = _config(data, seed, tuning)
    kind = "tuned" if tuning.epochs else "frozen"
    run = ImageRun(out / data.name / f"{kind}-seed{seed}-{config['digest'][:8]}")
    if run.is_finished:
        return run
    with exclusive_lock(run.directory / ".lock"):
        if not run.is_finished:
            _train(data, seed, tuning, config, run.directory, watch)
    return run


def _config(data: Photographs, seed: int, tuning: Tuning) -> dict[str, Any]:
    decided = {
        "name": data.name,
        "model": "efficientnet_lite0",
        "seed": seed,
        "weights": WEIGHTS.sha256,
        "preprocess": asdict(SETTINGS),
        "augmenting": augmenting.SETTINGS,
        "head": {"views": VIEWS, "strengths": list(STRENGTHS)},
        "tuning": asdict(tuning) if tuning.epochs else None,
        "data": {
            "photographs": len(data.files),
            "classes": list(data.classes),
            "digest": data.digest(),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        },
    }
    digest = hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()
    return {**decided, "source": shown(data.folder), "digest": digest}


def _train(
    data: Photographs,
    seed: int,
    tuning: Tuning,
    config: Mapping[str, Any],
    directory: Path,
    watch: Watch,
) -> None:
    for torn in directory.glob(".*.*"):  # of a process that was killed while it wrote
        torn.unlink()
    write_text(directory / "config.json", _json(config))
    parts = split(data, seed)
    watch("loading the network", 0, 1)
    module = with_classes(network(), len(data.classes))
    strengths = fit_head(module, data, parts, seed, directory, watch)
    judged = {FROZEN: _judged(module, data, parts, watch)}
    losses = [min(strengths.values())]
    if tuning.epochs:
        losses += tune(module, losses[0], data, parts, tuning, seed, directory, watch)
        judged = {FINE_TUNED: _judged(module, data, parts, watch), **judged}
    own, *others = judged
    plain = _plain(data, parts)
    write_text(directory / "preprocess.json", json.dumps(asdict(SETTINGS), indent=2) + "\n")
    write_text(directory / "labels.txt", "".join(f"{label}\n" for label in data.classes))
    state = {name: value.contiguous() for name, value in module.state_dict().items()}
    write_bytes(directory / "weights.safetensors", safetensors.torch.save(state))
    write_bytes(directory / "samples.npy", _samples(data, parts, seed))
    bins = _reference(data, parts, judged[own])
    write_text(directory / "reference_images.json", bins.images.to_json())
    write_text(directory / "reference_answers.json", bins.answers.to_json())
    write_text(directory / "predictions.csv", _predictions(data, parts, judged[own]))
    write_text(directory / "report.html", report(data, parts, seed, judged, plain, losses))
    test = judged[own].test
    metrics = {
        "model": own,
        "seed": seed,
        "validation": judged[own].validation.as_dict(),
        "test": {
            **test.as_dict(),
            "accuracy_interval": list(judged[own].accuracy_interval()),
            "macro_f1_interval": list(judged[own].macro_f1_interval(seed)),
        },
        "most_common": asdict(plain),
        "baselines": {
            name: {
                "validation": judged[name].validation.as_dict(),
                "test": judged[name].test.as_dict(),
            }
            for name in others
        },
        "validation_log_loss": {"head": strengths, "epochs": losses},
        "rows": {part: len(rows) for part, rows in parts.parts().items()},
        "notes": list(data.notes),
    }
    write_text(directory / "metrics.json", _json(metrics))
    remove_pieces(directory, PIECES)
    (directory / CHECKPOINT).unlink(missing_ok=True)


def _judged(module: EfficientNetLite0, data: Photographs, parts: Split, watch: Watch) -> Judged:
    validated, tested = (
        probabilities(module, data, rows, watch, "scoring")
        for rows in (parts.validation, parts.test)
    )
    return Judged(
        score_classes(data.target[parts.validation], validated, data.classes),
        score_classes(data.target[parts.test], tested, data.classes),
        validated,
        tested,
    )


def _plain(data: Photographs, parts: Split) -> Plain:
    train, test = data.target[parts.train], data.target[parts.test]
    found = majority_confusion(train, test, len(data.classes))
    label = data.classes[int(np.bincount(train).argmax())]
    return Plain(label, float(np.trace(found) / found.sum()), float(macro_f1(found)))


def _samples(data: Photographs, parts: Split, seed: int) -> bytes:
    chosen = np.random.default_rng(seed).permutation(parts.train)[:_SAMPLES]
    return saved(np.stack([read(data.data(int(row)), SETTINGS).crop for row in chosen]))


def _reference(data: Photographs, parts: Split, own: Judged) -> ImageReference:
    """How photographs that were held out are distributed; of few, the bins alone."""
    rows = np.concatenate([parts.validation, parts.test])
    if len(rows) < LEAST_IMAGES:
        return fixed_bins(data.classes)
    found = np.concatenate([own.validated, own.tested])
    best, probability = found.argmax(axis=1), found.max(axis=1)
    return reference_of(data.measures[rows], best, probability, data.classes)


def _predictions(data: Photographs, parts: Split, own: Judged) -> str:
    """The photographs that were held out, by file; probabilities in full."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(["file", "part", "class", *data.classes])
    held_out = {"validation": own.validated, "test": own.tested}
    for part, found in held_out.items():
        for row, each in zip(parts.parts()[part], found, strict=True):
            label = data.classes[data.target[row]]
            writer.writerow([shown(data.files[row]), part, label, *map(str, each)])
    return content.getvalue()


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
