"""SMOTE: made-up training records of the rarer outcomes, between records that are near each other.

N. V. Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique" (2002), as the library
imbalanced-learn has it. Records are made, not features: the numbers of a new record lie on the line
between those of a record and of one of its nearest neighbours, and each category is the most
frequent one among the neighbours (SMOTE-NC, section 6.1 there; SMOTE-N where all fields are
categories). Whether a number is missing counts as a category. The fitted transform then makes
features of the record, so indicators stay 0 or 1, a sum stays the sum of its parts, and no feature
has a value that no served record could have.

Between two dates lies one of another weekday, and between two texts lies none. So a new record has
its dates and texts, present or missing, from the real record of its outcome that is nearest to it.
Dates count in that distance and texts do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.metrics import pairwise_distances_argmin
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits

from trimaran.served.transform import Transform
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.features.fit import table_of

__all__ = ["check_smote", "with_smote"]

Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_NEIGHBOURS = 5
_NONE = np.zeros(0, dtype=np.int64)


def check_smote(schema: Schema) -> None:
    """Raise `TrimaranError` for a schema between whose records nothing lies."""
    if not (schema.numbers or schema.categories or schema.dates):
        raise TrimaranError(
            "SMOTE makes records of numbers, categories and dates, and the table has texts only; "
            "train with --imbalance resample or weights"
        )


def with_smote(
    transform: Transform,
    schema: Schema,
    frame: pd.DataFrame,
    features: npt.NDArray[np.float32],
    outcomes: npt.NDArray[Any],
    seed: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """Features `[rows + made, columns]` and outcomes of the training part and of made-up records.

    Then every outcome is as frequent as the most frequent one. `frame` has the training part's
    records, `features` `[rows, columns]` what `transform` makes of them, and `outcomes` `[rows]`
    truth values or the numbers of classes, of each of which there are two rows or more. Raises
    `TrimaranError` for a table of nothing but texts.
    """
    check_smote(schema)
    table = table_of(frame, schema)
    codes = transform.encode(table.categories)
    count = len(schema.numbers)
    made = _made(table.numbers, codes, transform, schema, outcomes.astype(np.int64), seed)
    whole = np.flatnonzero([field.whole for field in schema.numbers])
    made.numbers[:, whole] = np.rint(made.numbers[:, whole])
    if schema.dates:
        made.numbers[:, count:] = table.numbers[made.nearest, count:]
    texts = [[column[row] for row in made.nearest] for column in table.texts]
    return (
        np.concatenate([features, transform.apply(made.numbers, made.codes, texts)]),
        np.concatenate([outcomes, made.outcomes.astype(outcomes.dtype)]),
    )


@dataclass(frozen=True)
class _Made:
    numbers: Numbers
    """`[made, number fields + date fields]`."""
    codes: Integers
    """`[category fields, made]`."""
    outcomes: Integers
    """`[made]`."""
    nearest: Integers
    """The real row of the same outcome that is nearest to each record, `[made]`; empty where no
    field is taken from it."""


def _made(
    numbers: Numbers,
    codes: Integers,
    transform: Transform,
    schema: Schema,
    outcomes: Integers,
    seed: int,
) -> _Made:
    """Records between those of `numbers` `[rows, number fields + date fields]` and `codes`."""
    rows, width = numbers.shape
    missing = np.isnan(numbers)
    flagged = np.flatnonzero(missing.any(axis=0))
    filled = _filled(numbers, missing, transform, len(schema.numbers))
    middle, spread = filled.mean(axis=0), filled.std(axis=0)
    spread[spread == 0] = 1.0
    categories = codes.T.reshape(rows, len(codes))
    together = np.hstack([(filled - middle) / spread, categories, missing[:, flagged]])
    sampler = _sampler(width, together.shape[1], int(np.bincount(outcomes).min()), seed)
    with threadpool_limits(1):  # the order of sums, and so the last bits, depend on their number
        every, labels = sampler.fit_resample(together, outcomes)
        own = every[rows:]
        needed = bool(schema.dates or schema.texts)
        nearest = _nearest(together, outcomes, own, labels[rows:], width) if needed else _NONE
    made = own[:, :width] * spread + middle
    voted = own[:, width + len(codes) :] > 0
    made[:, flagged] = np.where(voted, np.nan, made[:, flagged])
    made_codes = own[:, width : width + len(codes)].T.astype(np.int64)
    return _Made(made, made_codes, labels[rows:], nearest)


def _filled(
    numbers: Numbers, missing: npt.NDArray[np.bool_], transform: Transform, count: int
) -> Numbers:
    """Without missing values, and numbers held within the bounds of outliers."""
    low, high = (
        np.array([default if each is None else each for each in side[:count]], np.float64)
        for side, default in ((transform.data.low, -np.inf), (transform.data.high, np.inf))
    )
    fill = np.array(transform.data.fill[:count], np.float64)
    held = np.clip(np.where(missing[:, :count], fill, numbers[:, :count]), low, high)
    days, absent = numbers[:, count:], missing[:, count:]
    middle = np.where(absent, 0, days).sum(axis=0) / np.maximum(1, (~absent).sum(axis=0))
    return np.hstack([held, np.where(absent, middle, days)])


def _nearest(
    real: Numbers, outcomes: Integers, made: Numbers, made_outcomes: Integers, width: int
) -> Integers:
    """For each made row the nearest real one of its outcome, `[made]`.

    Of both, the first `width` columns are numbers, and each other that differs counts 1.
    """
    encoder = OneHotEncoder().fit(real[:, width:]) if real.shape[1] > width else None

    def points(rows: Numbers) -> Any:
        if encoder is None:
            return rows
        ones = encoder.transform(rows[:, width:]) * np.sqrt(0.5)
        return sparse.hstack([rows[:, :width], ones], format="csr")

    nearest = np.zeros(len(made), dtype=np.int64)
    for outcome in np.unique(made_outcomes):
        own, among = made_outcomes == outcome, np.flatnonzero(outcomes == outcome)
        nearest[own] = among[pairwise_distances_argmin(points(made[own]), points(real[among]))]
    return nearest


def _sampler(numbers: int, columns: int, fewest: int, seed: int) -> Any:
    """The variant for so many columns of numbers, followed by categories."""
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC  # takes a second to import

    options = {"k_neighbors": min(_NEIGHBOURS, fewest - 1), "random_state": seed}
    if columns == numbers:
        return SMOTE(**options)
    if not numbers:
        return SMOTEN(**options)
    return SMOTENC(categorical_features=list(range(numbers, columns)), **options)
