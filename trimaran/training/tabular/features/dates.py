"""Fitting dates: which parts of each date a model gets.

A part repeats: a weekday every week, a month every year. Where training holds fewer than two of its
cycles, a model cannot tell the cycle from a trend, so the part is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trimaran.served.dates import DAYS, Date
from trimaran.served.records import Table
from trimaran.training.tabular.data.schema import Schema

__all__ = ["fit_dates"]

_TIME = "time of day"
_CYCLES: Sequence[tuple[str, float, tuple[str, ...]]] = (
    (_TIME, 1, ("time_sin", "time_cos")),
    ("weekday", 7, ("weekday",)),
    ("day of the month", 31, ("day",)),
    ("month", 365, ("month_sin", "month_cos")),
)
_LEAST_CYCLES = 2


def fit_dates(schema: Schema, table: Table) -> tuple[tuple[Date, ...], list[str]]:
    """The columns of each date field, for the rows of a training part, and a note on each left out.

    A date has its days to another date, or to the newest in training; the column by which the rows
    are split has none, since every later row lies beyond those of training. It has a time of day
    only where training has one.
    """
    dates, notes = [], []
    for place, field in enumerate(schema.dates, len(schema.numbers)):
        days = table.numbers[:, place]
        present = days[~np.isnan(days)]
        span = float(np.ptp(present)) if len(present) else 0.0
        timed = bool((present % 1).any())
        parts = [] if field.name == schema.time else [DAYS]
        short = []
        for name, cycle, columns in _CYCLES:
            if name == _TIME and not timed:
                continue
            if span >= _LEAST_CYCLES * cycle:
                parts += columns
            else:
                short.append(name)
        if short:
            notes.append(
                f"the date {field.name!r} gives no {' and no '.join(short)}: its training values "
                f"span {span:.0f} days, and a cycle is learnt from two or more"
            )
        newest = float(present.max()) if len(present) else 0.0
        dates.append(Date(field.name, parts, newest, schema.as_of(field)))
    return tuple(dates), notes
