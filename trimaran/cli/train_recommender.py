"""`trimaran train TABLE --user COLUMN --item COLUMN`: a recommender, from a table to a report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trimaran.system.console import console

if TYPE_CHECKING:  # torch takes seconds to import, and wrong usage is refused at once
    from trimaran.training.recommender.trained import RecommenderRun

__all__ = ["summary", "train_recommender"]


_METRICS = {"ndcg": "NDCG@10", "recall": "recall@10", "hit": "hit rate@10"}


def train_recommender(table: str, options: Mapping[str, Any]) -> None:
    """Train with a progress bar, and print the scores.

    `options` are those of `trimaran.training.recommender.run.train`, None where nothing is said.
    """
    from trimaran.training.progress import shown
    from trimaran.training.recommender.run import train

    began = time.monotonic()
    with shown() as watch:
        given = {name: value for name, value in options.items() if value is not None}
        run = train(table, **given, watch=watch)
    for line in summary(run, time.monotonic() - began):
        console().print(line, markup=False, highlight=False, soft_wrap=True)


def summary(run: RecommenderRun, seconds: float) -> list[str]:
    """What a finished run says."""
    metrics = run.metrics()
    scored = {metrics["model"]: metrics["test"], **metrics["baselines"]}
    low, high = metrics["intervals"]["ndcg"]
    gain, least, most = metrics["gain_over_popularity"]["ndcg"]
    latest = run.directory.parent / "latest"
    return [
        *(f"note: {note}" for note in metrics["notes"]),
        *(
            f"{name}: {', '.join(f'{title} {each[key]:.3f}' for key, title in _METRICS.items())}"
            for name, each in scored.items()
        ),
        f"95 % interval of {metrics['model']}: NDCG@10 {low:.3f} to {high:.3f}, on "
        f"{metrics['users']['tested']:,} users of the test part",
        f"gain over popularity: NDCG@10 {gain:+.3f} ({least:+.3f} to {most:+.3f})",
        f"report: {run.directory / 'report.html'}, after {seconds:.0f} s",
        f"next: trimaran export {latest} --format onnx, and trimaran publish {latest}",
    ]
