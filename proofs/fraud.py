"""How good models of simulated card payments are, and what balancing rare frauds is worth.

    .venv/bin/python -m proofs.fraud --seeds 5

Each seed simulates its own payments, and trains each model on them, balanced in each way. Printed
are the mean and the standard deviation over the seeds on the test parts, as the tables of
docs/fraud.md, and for each way of balancing the mean of what it adds to the average precision of
the same payments and model, with the 95 % interval of Student's t.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from trimaran.stats.intervals import Estimate
from trimaran.training.recipes import recipe
from trimaran.training.tabular.data.card_fraud import card_fraud
from trimaran.training.tabular.data.sources import of_frame, packaged_schema
from trimaran.training.tabular.learning.hyperparameters import IMBALANCES
from trimaran.training.tabular.learning.learn import Problem, learn

MODELS = ("mlp", "linear", "forest", "boosting")
METRICS = {
    "pr_auc": "average precision",
    "alert_precision": "precision of top 1 %",
    "cost": "cost per 1,000 payments",
    "f1_threshold": "the same, at the threshold of the best F1",
    "always_no": "the same, of no alarm",
    "roc_auc": "ROC AUC",
    "recall": "recall",
    "precision": "precision",
}

Scored = Mapping[tuple[str, str], Mapping[str, float]]
"""Metrics by the model and how it was balanced."""


def world(seed: int) -> Problem:
    """The payments of a seed."""
    schema = packaged_schema("card_fraud")
    return Problem.of(of_frame(card_fraud(seed), schema, f"payments {seed}"))


def scored(about: Problem, model: str, imbalance: str, seed: int) -> dict[str, float]:
    """The metrics of a model on the test part."""
    how = recipe("card_fraud", about.schema, model, imbalance)
    split = about.split(seed)
    learned = learn(about, split, how.plan, how.hyper, seed)
    target = about.target[split.test]
    found = learned.predictions(learned.features(about.rows(split.test)))
    scores = about.task.score(target, found, learned.chosen).as_dict()
    others = about.task.compared(target, found, learned.chosen, seed)
    return {**scores, **{name: one.value for name, one in others.items()}}


def mean_interval(values: Sequence[float]) -> Estimate:
    """The mean with the 95 % interval of Student's t."""
    mean, error = float(np.mean(values)), float(stats.sem(values))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach)


def row(name: str, cells: Sequence[Any]) -> str:
    """A line of a table in Markdown."""
    return f"| {name} | " + " | ".join(map(str, cells)) + " |"


def report(worlds: Sequence[Scored], models: Sequence[str], ways: Sequence[str]) -> None:
    """Print both tables."""
    print(row("", models))
    for metric, name in METRICS.items():
        of_models = [[one[model, "none"][metric] for one in worlds] for model in models]
        print(
            row(name, [f"{np.mean(each):.4g} ± {np.std(each, ddof=1):.2g}" for each in of_models])
        )
    for metric in ("pr_auc", "cost"):
        print(row(f"added to {METRICS[metric]}", models))
        for way in ways:
            added = [
                mean_interval(
                    [one[model, way][metric] - one[model, "none"][metric] for one in worlds]
                )
                for model in models
            ]
            print(row(way, [f"{x.value:+.3g} ({x.low:+.3g} to {x.high:+.3g})" for x in added]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m proofs.fraud")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--ways", nargs="*", choices=IMBALANCES[1:], default=IMBALANCES[1:])
    told = parser.parse_args(arguments)
    say = partial(print, flush=True)
    worlds = []
    for seed in range(told.seeds):
        about = world(seed)
        found = {}
        for model in told.models:
            for way in ("none", *told.ways):
                found[model, way] = scored(about, model, way, seed)
                say(seed, model, way, f"{found[model, way]['pr_auc']:.4f}")
        worlds.append(found)
    report(worlds, told.models, told.ways)


if __name__ == "__main__":
    main()
