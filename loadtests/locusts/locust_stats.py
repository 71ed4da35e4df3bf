"""Locust's own count of a run: rounded percentiles, and its tables as files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust.stats import PERCENTILES_TO_REPORT, StatsCSVFileWriter

from trimaran.stats.latency import QUANTILES

__all__ = ["Tables", "own_figures"]


class Tables:
    """Locust's CSV files, with the whole run: those that its `--csv` writes lack the last second.

    They are `locust_stats.csv` and its like in `directory`.
    """

    def __init__(self, environment: Any, directory: Path) -> None:
        self._prefix = str(directory / "locust")
        self._writer = StatsCSVFileWriter(environment, PERCENTILES_TO_REPORT, self._prefix)
        self._greenlet = gevent.spawn(self._writer.stats_writer)

    def finish(self) -> None:
        """Write the final figures."""
        self._greenlet.kill()
        self._writer.close_files()
        for name, write in (
            ("stats", self._writer.requests_csv),
            ("failures", self._writer.failures_csv),
        ):
            with Path(f"{self._prefix}_{name}.csv").open("w", newline="") as file:
                write(csv.writer(file))


def own_figures(environment: Any) -> Mapping[str, float]:
    """Percentiles in milliseconds as Locust rounds them, and how many requests it counted."""
    total = environment.runner.stats.total
    found = {name: total.get_response_time_percentile(share) for name, share in QUANTILES.items()}
    return {**found, "max": total.max_response_time, "requests": total.num_requests}
