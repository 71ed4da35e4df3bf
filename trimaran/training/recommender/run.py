"""One training from beginning to end, in its own directory.

The directory's name follows from everything that decides the outcome, so the same call finds the
same directory: a finished run is used again, and a killed one goes on from its last epoch.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from trimaran.repository.repository import check_model_name
from trimaran.served.histories import Histories, padded_histories
from trimaran.system.errors import UsageError
from trimaran.system.files import exclusive_lock, write_bytes, write_text
from trimaran.training.recommender.data import Choices, load_csv
from trimaran.training.recommender.evaluation import METRIC_NAMES, Scores, evaluate, intervals
from trimaran.training.recommender.fitting import (
    CHECKPOINT,
    MOST_LINEAR,
    SETTINGS,
    Fitted,
    Problem,
    Watch,
    fit_linear,
    fit_towers,
    state_of,
)
from trimaran.training.recommender.movielens import MOVIELENS, movielens
from trimaran.training.recommender.report import report
from trimaran.training.recommender.split import Parts, histories, split, wanted
from trimaran.training.recommender.trained import ITEMS, RecommenderRun
from trimaran.training.tabular.runs.trained import TrainedRun, name_latest

__all__ = ["MODELS", "train", "train_data"]

MODELS = tuple(SETTINGS)

_LIBRARIES = ("numpy", "torch")
_SAMPLES = 256
_MOST_TOP = 100


def train(
    name_or_path: str | Path,
    *,
    user: str = "",
    item: str = "",
    rating: str = "",
    time: str = "",
    liked: float | None = None,
    name: str = "",
    model: str = "ease",
    top: int = 10,
    seed: int = 0,
    out: Path = Path("runs"),
    watch: Watch = lambda what, done, total: None,
) -> RecommenderRun:
    """Train a recommender below `<out>/<name>`, or find it there.

    `name_or_path` is `movielens`, or a CSV file of which `user` and `item`, and perhaps `rating`
    and `time`, are columns. Items are liked from the rating `liked`. `name` is what the models are
    called, by default as the table. `model` is `ease` or `towers`, and `top` how many items are
    answered. The run becomes the latest, which is exported. Raises `UsageError` for wrong
    arguments, and `TrimaranError` for a table that does not fit.
    """
    if model not in MODELS:
        raise UsageError(f"there is no recommender {model!r}; choose from {', '.join(MODELS)}")
    if not 1 <= top <= _MOST_TOP:
        raise UsageError(f"--top is {top}; it must be between 1 and {_MOST_TOP}")
    if str(name_or_path) == MOVIELENS:
        if user or item or rating or time:
            raise UsageError(f"{MOVIELENS} knows its columns; leave out --user, --item and others")
        found = movielens(liked, seed)
        data = replace(found, name=name or found.name)
    else:
        if not (user and item):
            missing = "--item" if user else "--user"
            raise UsageError(f"name the columns of users and items: {missing} is missing")
        data = load_csv(name_or_path, user, item, rating, time, liked, name, seed)
    check_model_name(data.name)
    run = train_data(data, model, top, seed, out, watch)
    name_latest(TrainedRun(run.directory))
    return run


def train_data(
    data: Choices,
    model: str,
    top: int,
    seed: int,
    out: Path,
    watch: Watch = lambda what, done, total: None,
) -> RecommenderRun:
    """Train on a table that was read. Two processes with the same work wait for one another."""
    if top > len(data.items):
        raise UsageError(f"--top is {top}, and {data.source} has {len(data.items)} items")
    if model == "ease" and len(data.items) > MOST_LINEAR:
        raise UsageError(
            f"{data.source} has {len(data.items):,} items, and --model ease takes {MOST_LINEAR:,} "
            "at most; choose --model towers"
        )
    parts = split(data)
    config = _config(data, model, top, seed)
    run = RecommenderRun(out / data.name / f"{model}-seed{seed}-{config['digest'][:8]}")
    if run.is_finished:
        return run
    with exclusive_lock(run.directory / ".lock"):
        if not run.is_finished:
            _train(data, parts, config, run.directory, watch)
    return run


def _config(data: Choices, model: str, top: int, seed: int) -> dict[str, Any]:
    decided = {
        "name": data.name,
        "model": model,
        "top": top,
        "seed": seed,
        "settings": SETTINGS[model],
        "data": {"rows": len(data.user), "digest": data.digest()},
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        },
    }
    digest = hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()
    width = SETTINGS[model].get("width", 0)
    return {**decided, "width": width, "source": data.source, "digest": digest}


def _train(
    data: Choices, parts: Parts, config: Mapping[str, Any], directory: Path, watch: Watch
) -> None:
    for torn in directory.glob(".*.*"):  # of a process that was killed while it wrote
        torn.unlink()
    write_text(directory / "config.json", _json(config))
    model, top, seed = config["model"], config["top"], config["seed"]
    problem = Problem(data, parts)
    fitted: dict[str, Fitted] = {}
    if model == "towers":
        fitted["towers"] = fit_towers(problem, top, seed, directory, watch)
    if model == "ease" or problem.items <= MOST_LINEAR:
        fitted["ease"] = fit_linear(problem, top, watch)
    given = histories(data, parts.train | parts.validation)
    sought = wanted(data, parts.test)
    progress = partial(watch, "scoring")
    scores = {
        name: evaluate(each.network, given, sought, progress) for name, each in fitted.items()
    }
    popularity = evaluate(problem.popularity(top), given, sought, progress)
    own = fitted[model]
    everything = histories(data, parts.train | parts.validation | parts.test)
    kept = Histories(data.users, np.concatenate(everything).astype(np.int32), data.starts)
    for name, content in kept.files().items():
        write_bytes(directory / name, content)
    write_text(directory / ITEMS, "".join(f"{each}\n" for each in data.items))
    state = safetensors.torch.save(dict(state_of(own.network)))
    write_bytes(directory / "weights.safetensors", state)
    write_bytes(directory / "samples.npy", _samples(given, seed))
    write_text(directory / "users.csv", _users(data, scores[model], popularity))
    found = intervals(scores[model], popularity, seed)
    validation = {
        **{name: max(each.tried.values()) for name, each in fitted.items()},
        "popularity": problem.ndcg(problem.popularity(top)),
    }
    metrics = {
        "model": model,
        "seed": seed,
        "test": {**scores[model].means(), "items": scores[model].items},
        "intervals": {name: each["interval"] for name, each in found.items()},
        "gain_over_popularity": {name: each["gain"] for name, each in found.items()},
        "baselines": {
            name: {**each.means(), "items": each.items}
            for name, each in {**scores, "popularity": popularity}.items()
            if name != model
        },
        "validation_ndcg": validation,
        "tried": own.tried,
        "rows": {name: int(rows.sum()) for name, rows in parts.by_name().items()},
        "users": {"all": len(data.users), "tested": len(popularity.users)},
        "items": len(data.items),
        "notes": list(data.notes),
    }
    html = report(data, given, sought, own.network, metrics, scores[model], popularity)
    write_text(directory / "report.html", html)
    write_text(directory / "metrics.json", _json(metrics))
    (directory / CHECKPOINT).unlink(missing_ok=True)


def _samples(given: list[Any], seed: int) -> bytes:
    """Histories to verify exports with, among them an empty one and one without a liked item."""
    chosen = np.random.default_rng(seed).permutation(len(given))[:_SAMPLES]
    rows = [given[user] for user in chosen]
    buffer = io.BytesIO()
    strange = [np.zeros(0, np.int64), -np.abs(rows[0])]
    np.save(buffer, padded_histories([*rows, *strange]), allow_pickle=False)
    return buffer.getvalue()


def _users(data: Choices, own: Scores, popularity: Scores) -> str:
    """The metrics of each user of the test part, and those of popularity, in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["user", *METRIC_NAMES, *(f"popularity_{name}" for name in METRIC_NAMES)])
    columns = [getattr(each, name) for each in (own, popularity) for name in METRIC_NAMES]
    for place, user in enumerate(own.users):
        writer.writerow([data.users[user], *(str(float(column[place])) for column in columns)])
    return text.getvalue()


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
