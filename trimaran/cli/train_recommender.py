"""`trimaran train TABLE --user COLUMN --item COLUMN`: a recommender, from a table to a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trimaran.cli.train_shown import say, train_shown

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage is refused at once
    from trimaran.training.recommender.trained import RecommenderRun

__all__ = ["summary", "train_recommender"]


def train_recommender(table: str, options: Mapping[str, Any]) -> RecommenderRun:
    """Train with a progress bar, and print the scores; the run.

    `options` are those of `trimaran.training.recommender.run.train`, None where nothing is said.
    """
    from trimaran.training.recommender.run import train

    run, seconds = train_shown(train, table, options)
    say(summary(run, seconds))
    return run


def summary(run: RecommenderRun, seconds: float) -> list[str]:
    """What a finished run says."""
    from trimaran.training.recommender.evaluation import METRIC_NAMES

    metrics = run.metrics()
    scored = {metrics["model"]: metrics["test"], **metrics["baselines"]}
    low, high = metrics["intervals"]["ndcg"]
    gain, least, most = metrics["gain_over_popularity"]["ndcg"]
    return [
        *(f"note: {note}" for note in metrics["notes"]),
        *(
            f"{name}: {', '.join(f'{METRIC_NAMES[key]} {each[key]:.3f}' for key in METRIC_NAMES)}"
            for name, each in scored.items()
        ),
        f"95 % interval of {metrics['model']}: NDCG@10 {low:.3f} to {high:.3f}, on "
        f"{metrics['users']['tested']:,} users of the test part",
        f"gain over popularity: NDCG@10 {gain:+.3f} ({least:+.3f} to {most:+.3f})",
        f"report: {run.directory / 'report.html'}, after {seconds:.0f} s",
    ]
