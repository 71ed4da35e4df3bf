"""Locust's internals that this project uses: its figures and tables, and a fix for its stalls."""

from __future__ import annotations

import csv
import functools
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import argument_parser
from locust.stats import PERCENTILES_TO_REPORT, StatsCSVFileWriter

from trimaran.stats.latency import QUANTILES

__all__ = ["Tables", "own_figures", "prevent_stalls"]


class Tables:
    """Locust's CSV files of the complete run: those of its `--csv` lack the last second.

    They are `locust_stats.csv`, `locust_failures.csv` and so on in `directory`.
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


def prevent_stalls() -> None:
    """Do Locust's long computations once, before users start.

    While one greenlet computes, no other one runs, and the delay looks like the server's latency.
    A worker builds Locust's full parser for each option whenever users are added, and a stopping
    runner looks for its caller's source, which searches all modules the first time.
    """
    if not hasattr(argument_parser.default_args_dict, "cache_info"):
        argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)
    argument_parser.default_args_dict()
    inspect.stack()
