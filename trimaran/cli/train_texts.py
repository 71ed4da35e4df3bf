"""`trimaran train TABLE --text COLUMN`: a classifier of texts, from a table to a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trimaran.cli.train_shown import say, train_shown

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage is refused at once
    from trimaran.training.text.trained import TextRun

__all__ = ["summary", "train_texts"]


def train_texts(table: str, options: Mapping[str, Any]) -> TextRun:
    """Train with a progress bar, and print the scores; the run.

    `options` are those of `trimaran.training.text.run.train`, None where nothing is said.
    """
    from trimaran.training.text.run import train

    run, seconds = train_shown(train, table, options)
    say(summary(run, seconds))
    return run


def summary(run: TextRun, seconds: float) -> list[str]:
    """What a finished run says."""
    metrics = run.metrics()
    scored = {metrics["model"]: metrics, **metrics["baselines"]}
    low, high = metrics["test"]["f1_interval"]
    return [
        *(
            f"{name}: F1 {each['test']['f1']:.3f}, ROC AUC {each['test']['roc_auc']:.3f}"
            for name, each in scored.items()
        ),
        f"always yes: F1 {metrics['always_yes_f1']:.3f}",
        f"95 % interval of {metrics['model']}: F1 {low:.3f} to {high:.3f}, on "
        f"{metrics['rows']['test']} texts of the test part",
        f"report: {run.directory / 'report.html'}, after {seconds:.0f} s",
    ]
