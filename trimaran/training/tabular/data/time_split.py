"""Splits by time: a model learns from the past and is tested on what came after.

Rows of one date are never in two parts, so copies of a row are not either. Where outcomes become
known only after some days, the rows whose outcome was not yet known when the next part began are in
no part: a model that learnt from them would know what nobody knew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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


def time_split(days: Floats, strata: Strata, gap_days: float = 0.0) -> Split:
    """The newest 15 % of the rows to test, 15 % before them to validate, the older ones to train.

    `days` is each row's date, `[rows]`. A cut is moved to where the date changes. Each part begins
    more than `gap_days` after the end of the one before, and the rows between are in none. Raises
    `TrimaranError` where a part would have too few rows of an outcome.
    """
    split = Split(*_cut(np.arange(len(days)), days, (0.7, 0.85), gap_days))
    _refuse_rare(split, days, strata, gap_days, "")
    return split


def time_folds(
    days: Floats, strata: Strata, rows: Indices, folds: int, gap_days: float = 0.0
) -> Sequence[Split]:
    """`folds` splits of `rows`, each tested on later rows than the one before.

    The rows are cut into `folds` + 1 blocks by time. A fold is tested on one block, and learns from
    all blocks before it, up to `gap_days` before it begins; of those the newest 15 in 85 rows are
    for validation, with the same gap before them. Raises `TrimaranError`.
    """
    shares = [block / (folds + 1) for block in range(1, folds + 1)]
    blocks = _cut(rows, days, shares)
    splits = []
    for fold in range(1, folds + 1):
        past = np.concatenate(blocks[:fold])
        known = past[days[past] < days[blocks[fold]].min(initial=np.inf) - gap_days]
        train, validation = _cut(known, days, (1 - 0.15 / 0.85,), gap_days)
        split = Split(train, validation, blocks[fold])
        _refuse_rare(split, days, strata, gap_days, f" of fold {fold} of {folds}")
        splits.append(split)
    return splits


def spans(split: Split, days: Floats) -> Mapping[str, tuple[str, str]]:
    """The first and the last date of each part, as texts."""
    return {name: _span(days[rows]) for name, rows in split.parts().items()}


def _cut(
    rows: Indices, days: Floats, shares: Sequence[float], gap_days: float = 0.0
) -> list[Indices]:
    """The rows in order of time, cut at these shares of them, or where the date changes next.

    The last rows before a cut are left out, those within `gap_days` before the part that begins
    there. The later parts have their shares nonetheless, and the first one has fewer rows.
    """
    ordered = rows[np.argsort(days[rows], kind="stable")]
    sorted_days = days[ordered]
    changes = np.flatnonzero(np.diff(sorted_days)) + 1
    if len(changes) < len(shares):
        less = "make gap_days less, or " if gap_days else ""
        raise TrimaranError(
            f"{len(rows)} rows to split by time have {len(set(sorted_days))} different dates; it "
            f"takes {len(shares) + 1} or more, so {less}split without time"
        )
    parts: list[Indices] = []
    end, unknown = len(rows), 0
    for share in reversed(shares):
        cut = int(changes[np.abs(changes - (share * len(rows) - unknown)).argmin()])
        parts.append(ordered[cut:end])
        end = int(np.searchsorted(sorted_days, sorted_days[cut] - gap_days))
        unknown += cut - end
    return [ordered[:end], *reversed(parts)]


def _refuse_rare(split: Split, days: Floats, strata: Strata, gap_days: float, where: str) -> None:
    remedy = ("make gap_days less, " if gap_days else "") + (
        "or ask for fewer folds" if where else "or split without time"
    )
    for part, rows in split.parts().items():
        for name, count in _named_counts(strata.at(rows)):
            if count < _FEWEST_IN_PART:
                span = f", {' to '.join(_span(days[rows]))}," if len(rows) else ""
                raise TrimaranError(
                    f"split by time, the {part} part{where}{span} has {count} "
                    f"{name + ' ' if name else ''}rows; it takes {_FEWEST_IN_PART} or more, so add "
                    f"records, {remedy}"
                )


def _named_counts(strata: Strata) -> Iterator[tuple[str, int]]:
    """Each outcome's rows; of numbers, which have no outcomes, all rows."""
    if not any(strata.names):
        yield "", len(strata.of_row)
        return
    yield from zip(strata.names, strata.counts(), strict=True)


def _span(days: Floats) -> tuple[str, str]:
    return as_text(float(days.min())), as_text(float(days.max()))
