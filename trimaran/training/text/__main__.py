"""Trains a classifier of texts, and shows the progress.

.venv/bin/python -m trimaran.training.text food_reviews
.venv/bin/python -m trimaran.training.text reviews.csv --text review --target score
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.text.progress import shown
from trimaran.training.text.run import MODELS, train
from trimaran.training.text.trained import TextRun
from trimaran.training.text.tuning import Tuning


def main() -> int:
    """Train, print the scores, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m trimaran.training.text", description="Train a classifier of texts."
    )
    parser.add_argument("table", help="a CSV file, or the public table food_reviews")
    parser.add_argument("--text", default="", help="the column with the texts")
    parser.add_argument("--target", default="", help="the column to predict, with two classes")
    parser.add_argument("--positive", default="", help="the class to predict; default: the rarer")
    parser.add_argument("--name", default="", help="what to call the models; default: as the table")
    parser.add_argument("--model", choices=MODELS, default="encoder")
    parser.add_argument("--epochs", type=int, default=Tuning.epochs, help="0 fits only a head")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the order of texts")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    given = vars(parser.parse_args())
    began = time.monotonic()
    try:
        with shown() as watch:
            run = train(given.pop("table"), **given, watch=watch)
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    print("\n".join(summary(run, time.monotonic() - began)))
    return 0


def summary(run: TextRun, seconds: float) -> list[str]:
    """What a finished run says."""
    metrics = run.metrics()
    scored = {metrics["model"]: metrics, **metrics["baselines"]}
    low, high = metrics["test"]["f1_interval"]
    latest = run.directory.parent / "latest"
    return [
        *(
            f"{name}: F1 {each['test']['f1']:.3f}, ROC AUC {each['test']['roc_auc']:.3f}"
            for name, each in scored.items()
        ),
        f"always yes: F1 {metrics['always_yes_f1']:.3f}",
        f"95 % interval of {metrics['model']}: F1 {low:.3f} to {high:.3f}, on "
        f"{metrics['rows']['test']} texts of the test part",
        f"report: {run.directory / 'report.html'}, after {seconds:.0f} s",
        f"next: trimaran export {latest} --format onnx, and trimaran publish {latest}",
    ]


if __name__ == "__main__":
    sys.exit(main())
