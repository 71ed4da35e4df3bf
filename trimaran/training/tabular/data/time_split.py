"""Splits by time: a model learns from the past and is tested on what came after.

Rows of one date are never in two parts, so copies of a row are not either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from trimaran.served.dates import as_text
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.split import Indices, Split
from trimaran.training.tabular.tasks.task import Strata

__all__ = ["spans", "time_folds", "time_split"]

Floats = npt.NDArray[np.float64]

_FEWEST_IN_PART = 3
"""Rows of each outcome; a stratified split of the fewest rows it takes has as many."""


def time_split(days: Floats, strata: Strata) -> Split:
    """The oldest 70 % of the rows to train, the next 15 % to validate, the newest to test.

    `days` is each row's date, `[rows]`. A cut is moved to where the date changes. Raises
    `TrimaranError` where a part would have too few rows of an outcome.
    """
    split = Split(*_cut(np.arange(len(days)), days, (0.7, 0.85)))
    _refuse_rare(split, days, strata, "")
    return split


def time_folds(days: Floats, strata: Strata, rows: Indices, folds: int) -> Sequence[Split]:
    """`folds` splits of `rows`, each tested on later rows than the one before.

    The rows are cut into `folds` + 1 blocks by time. A fold is tested on one block, and learns from
    all blocks before it; of those the newest 15 in 85 rows are for validation. Raises
    `TrimaranError`.
    """
    shares = [block / (folds + 1) for block in range(1, folds + 1)]
    blocks = _cut(rows, days, shares)
    splits = []
    for fold in range(1, folds + 1):
        train, validation = _cut(np.concatenate(blocks[:fold]), days, (1 - 0.15 / 0.85,))
        split = Split(train, validation, blocks[fold])
        _refuse_rare(split, days, strata, f" of fold {fold} of {folds}")
        splits.append(split)
    return splits


def spans(split: Split, days: Floats) -> Mapping[str, tuple[str, str]]:
    """The first and the last date of each part, as texts."""
    return {name: _span(days[rows]) for name, rows in split.parts().items()}


def _cut(rows: Indices, days: Floats, shares: Sequence[float]) -> list[Indices]:
    """The rows in order of time, cut at these shares of them, or where the date changes next."""
    ordered = rows[np.argsort(days[rows], kind="stable")]
    sorted_days = days[ordered]
    changes = np.flatnonzero(np.diff(sorted_days)) + 1
    if len(changes) < len(shares):
        raise TrimaranError(
            f"{len(rows)} rows to split by time have {len(changes) + 1} different dates; it takes "
            f"{len(shares) + 1} or more, so split without time"
        )
    ends = [int(changes[np.abs(changes - share * len(rows)).argmin()]) for share in shares]
    return [ordered[start:end] for start, end in pairwise([0, *ends, len(rows)])]


def _refuse_rare(split: Split, days: Floats, strata: Strata, where: str) -> None:
    for part, rows in split.parts().items():
        for name, count in _named_counts(strata.at(rows)):
            if count < _FEWEST_IN_PART:
                span = f", {' to '.join(_span(days[rows]))}," if len(rows) else ""
                raise TrimaranError(
                    f"split by time, the {part} part{where}{span} has {count} "
                    f"{name + ' ' if name else ''}rows; it takes {_FEWEST_IN_PART} or more, so add "
                    "records, or " + ("ask for fewer folds" if where else "split without time")
                )


def _named_counts(strata: Strata) -> Iterator[tuple[str, int]]:
    """Each outcome's rows; of numbers, which have no outcomes, all rows."""
    if not any(strata.names):
        yield "", len(strata.of_row)
        return
    yield from zip(strata.names, strata.counts(), strict=True)


def _span(days: Floats) -> tuple[str, str]:
    return as_text(float(days.min())), as_text(float(days.max()))
