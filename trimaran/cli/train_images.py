"""`trimaran train FOLDER`: a classifier of photographs, from a folder to a report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trimaran.cli.train_shown import say, train_shown

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage is refused at once
    from trimaran.training.image.trained import ImageRun

__all__ = ["summary", "train_images"]


def train_images(folder: str, options: Mapping[str, Any]) -> ImageRun:
    """Train with a progress bar, and print the scores; the run.

    `options` are those of `trimaran.training.image.run.train`, None where nothing is said.
    """
    from trimaran.training.image.run import train

    run, seconds = train_shown(train, folder, options)
    for note in run.metrics()["notes"]:
        print(f"note: {note}", file=sys.stderr)
    say(summary(run, seconds))
    return run


def summary(run: ImageRun, seconds: float) -> list[str]:
    """What a finished run says."""
    from trimaran.training.image.report import kept_epoch

    metrics = run.metrics()
    scored = {metrics["model"]: metrics, **metrics["baselines"]}
    test, plain = metrics["test"], metrics["most_common"]
    low, high = test["accuracy_interval"]
    least, most = test["macro_f1_interval"]
    losses = metrics["validation_log_loss"]["epochs"]
    return [
        *(
            f"{name}: accuracy {each['test']['accuracy']:.3f}, macro F1 "
            f"{each['test']['macro_f1']:.3f}, log loss {each['test']['log_loss']:.3f}"
            for name, each in scored.items()
        ),
        *([f"fine-tuning: {kept_epoch(losses)}"] if len(losses) > 1 else []),
        f"always {plain['label']}: accuracy {plain['accuracy']:.3f}, macro F1 "
        f"{plain['macro_f1']:.3f}",
        f"95 % intervals of {metrics['model']}: accuracy {low:.3f} to {high:.3f}, macro F1 "
        f"{least:.3f} to {most:.3f}, on {metrics['rows']['test']} photographs of the test part",
        f"report: {run.directory / 'report.html'}, after {seconds:.0f} s",
    ]
