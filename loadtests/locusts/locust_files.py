"""Locust's own report, tables and log, kept beside ours."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["KEPT", "keep_locust_files"]

KEPT = (
    "locust.html",
    "locust_stats.csv",
    "locust_stats_history.csv",
    "locust_failures.csv",
    "locust_exceptions.csv",
    "locust.log",
)


def keep_locust_files(directory: Path, out: Path) -> None:
    """Copy them; what an earlier run left under these names goes."""
    for name in KEPT:
        (out / name).unlink(missing_ok=True)
        if (directory / name).exists():
            shutil.copyfile(directory / name, out / name)
