"""One training from beginning to end, in its own directory.

The directory's name follows from everything that decides the outcome, so the same call finds the
same directory: a finished run is used again, and a killed one goes on from the texts that it read.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch

from trimaran.repository.repository import check_model_name
from trimaran.served.tokens import padded
from trimaran.system.errors import UsageError
from trimaran.system.files import exclusive_lock, write_bytes, write_text
from trimaran.training.pieces import remove_pieces, saved
from trimaran.training.progress import Watch
from trimaran.training.tabular.evaluation.metrics import (
    Scores,
    always_yes_f1,
    choose_threshold,
    f1_interval,
    score,
)
from trimaran.training.tabular.runs.trained import TrainedRun, name_latest
from trimaran.training.text import minilm
from trimaran.training.text.data import Parts, TextData, load, split
from trimaran.training.text.embedding import PIECES
from trimaran.training.text.fitting import (
    ENCODINGS,
    SETTINGS,
    Fitted,
    fine_tuned,
    fit_encoder,
    fit_terms,
)
from trimaran.training.text.networks import probabilities
from trimaran.training.text.report import Judged, report
from trimaran.training.text.trained import TextRun
from trimaran.training.text.tuning import CHECKPOINT, Tuning

__all__ = ["MODELS", "train", "train_data"]

MODELS = tuple(ENCODINGS)

_LIBRARIES = ("numpy", "scikit-learn", "tokenizers", "torch")
_SAMPLES = 256


def train(
    name_or_path: str | Path,
    *,
    text: str = "",
    target: str = "",
    positive: str = "",
    name: str = "",
    model: str = "encoder",
    epochs: int = Tuning.epochs,
    seed: int = 0,
    out: Path = Path("runs"),
    watch: Watch = lambda what, done, total: None,
) -> TextRun:
    """Train a classifier of texts below `<out>/<name>`, or find it there.

    `name_or_path` is `food_reviews` or a CSV file, whose columns `text` and `target` are named.
    `name` is what the models are called, by default as the table.
    `model` is `tfidf` or `encoder`, which is fine-tuned for `epochs`; with 0 only its head is
    fitted. The run becomes the latest, which is exported. Raises `UsageError` for wrong arguments,
    and `TrimaranError` for a table that does not fit.
    """
    if model not in MODELS:
        raise UsageError(f"there is no model {model!r} of texts; choose from {', '.join(MODELS)}")
    if epochs < 0:
        raise UsageError(f"epochs is {epochs}; it must be 0 or more")
    data = load(name_or_path, text, target, positive, name)
    check_model_name(data.name)
    run = train_data(data, model, seed, out, Tuning(epochs=epochs), watch)
    name_latest(TrainedRun(run.directory))
    return run


def train_data(
    data: TextData,
    model: str,
    seed: int,
    out: Path,
    tuning: Tuning,
    watch: Watch = lambda what, done, total: None,
) -> TextRun:
    """Train on a table that was read. Two processes with the same work wait for one another."""
    config = _config(data, model, seed, tuning)
    run = TextRun(out / data.name / f"{model}-seed{seed}-{config['digest'][:8]}")
    if run.is_finished:
        return run
    with exclusive_lock(run.directory / ".lock"):
        if not run.is_finished:
            _train(data, model, seed, tuning, config, run.directory, watch)
    return run


def _config(data: TextData, model: str, seed: int, tuning: Tuning) -> dict[str, Any]:
    decided = {
        "name": data.name,
        "model": model,
        "seed": seed,
        "settings": SETTINGS,
        "encoding": json.loads(ENCODINGS[model].to_json()),
        "weights": minilm.WEIGHTS.sha256 if model == "encoder" else None,
        "tuning": asdict(tuning) if model == "encoder" and tuning.epochs else None,
        "data": {"rows": len(data.texts), "digest": data.digest()},
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        },
    }
    digest = hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()
    columns = dict(zip(("text", "target"), data.columns, strict=True))
    return {**decided, "source": data.source, "columns": columns, "digest": digest}


@dataclass(frozen=True)
class _Scored:
    """A fitted model with its probabilities and scores."""

    fitted: Fitted
    probability: npt.NDArray[np.float32]
    """Of every text, NaN in the training part."""
    validation: Scores
    test: Scores


def _train(
    data: TextData,
    model: str,
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
    scored = {"tfidf": _scored(data, parts, fit_terms(data, parts, watch), watch)}
    if model == "encoder":
        fitted = fit_encoder(data, parts, directory, watch)
        if tuning.epochs:
            scored = {"frozen encoder": _scored(data, parts, fitted, watch), **scored}
            fitted = fine_tuned(fitted, data, parts, tuning, seed, directory, watch)
        scored = {"encoder": _scored(data, parts, fitted, watch), **scored}
    own = scored[model]
    decision = {
        "threshold": own.test.threshold,
        "positive": data.positive,
        "negative": data.negative,
    }
    write_text(directory / "decision.json", _json(decision))
    write_text(directory / "encoding.json", own.fitted.encoding.to_json())
    write_text(directory / "vocabulary.json", own.fitted.vocabulary)
    state = {name: each.contiguous() for name, each in own.fitted.network.state_dict().items()}
    write_bytes(directory / "weights.safetensors", safetensors.torch.save(state))
    write_bytes(directory / "samples.npy", _samples(own.fitted, parts, seed))
    write_text(directory / "predictions.csv", _predictions(data, parts, own))
    low, high = f1_interval(own.test.confusion, seed)
    always = always_yes_f1(data.target[parts.test])
    judged = {name: Judged(each.validation, each.test) for name, each in scored.items()}
    html = report(data, parts, model, seed, judged, (low, high), always, own.probability)
    write_text(directory / "report.html", html)
    metrics = {
        "model": model,
        "seed": seed,
        "threshold": own.test.threshold,
        "validation": own.validation.as_dict(),
        "test": {**own.test.as_dict(), "f1_interval": [low, high]},
        "always_yes_f1": always,
        "baselines": {
            name: {"validation": each.validation.as_dict(), "test": each.test.as_dict()}
            for name, each in scored.items()
            if name != model
        },
        "validation_log_loss": own.fitted.losses,
        "rows": {name: len(rows) for name, rows in parts.by_name().items()},
        "notes": list(data.notes),
    }
    write_text(directory / "metrics.json", _json(metrics))
    remove_pieces(directory, PIECES)
    (directory / CHECKPOINT).unlink(missing_ok=True)


def _scored(data: TextData, parts: Parts, fitted: Fitted, watch: Watch) -> _Scored:
    rows = np.concatenate([parts.validation, parts.test])
    probability = np.full(len(data.texts), np.nan, np.float32)
    if fitted.probability is not None:
        probability[rows] = fitted.probability[rows]
    else:
        tokens = [fitted.tokens[row] for row in rows]
        progress = partial(watch, "scoring")
        probability[rows] = probabilities(fitted.network, fitted.encoding, tokens, progress)
    threshold = choose_threshold(data.target[parts.validation], probability[parts.validation])
    validation, test = (
        score(data.target[rows], probability[rows], threshold)
        for rows in (parts.validation, parts.test)
    )
    return _Scored(fitted, probability, validation, test)


def _samples(fitted: Fitted, parts: Parts, seed: int) -> bytes:
    chosen = np.random.default_rng(seed).permutation(parts.train)[:_SAMPLES]
    rows = [list(fitted.tokens[row]) for row in chosen]
    longest = fitted.encoding.lengths[-1]
    return saved(padded(rows, longest))


def _predictions(data: TextData, parts: Parts, own: _Scored) -> str:
    """The texts of the validation and the test part, by number from 0; probabilities in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "part", "target", "probability"])
    for part, rows in (("validation", parts.validation), ("test", parts.test)):
        for row in rows:
            writer.writerow([row, part, int(data.target[row]), str(own.probability[row])])
    return text.getvalue()


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
