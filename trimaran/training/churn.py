"""Which run of the family `churn` is exported and served."""

from __future__ import annotations

import os
from pathlib import Path

from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.runs.trained import TrainedRun, latest_run

__all__ = ["NAME", "RUN_VARIABLE", "trained"]

NAME = "churn"
RUN_VARIABLE = "TRIMARAN_RUN"

_RUNS = Path("runs") / NAME


def trained() -> TrainedRun:
    """The run that the environment variable `TRIMARAN_RUN` names, or else the latest run.

    The latest run is the one that `trimaran train churn` finished last, in `runs/churn` of the
    working directory. Raises `TrimaranError` where there is none.
    """
    named = os.environ.get(RUN_VARIABLE)
    if named:
        run = TrainedRun(Path(named))
        if not run.is_finished:
            raise TrimaranError(
                f"{RUN_VARIABLE} names {named}, which is not a finished run; name a directory that "
                "holds metrics.json"
            )
        return run
    latest = latest_run(_RUNS)
    if latest is None:
        raise TrimaranError(
            f"no trained churn model in {_RUNS}; train one with 'trimaran train churn'"
        )
    return latest
