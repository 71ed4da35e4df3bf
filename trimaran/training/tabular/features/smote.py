"""SMOTE: made-up training records of the rarer outcomes, between records that are near each other.

N. V. Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique" (2002), as the library
imbalanced-learn has it. Records are made, not features: the numbers and dates of a new record lie
on the line between those of a record and of one of its nearest neighbours, and each category is the
most frequent one among the neighbours (SMOTE-NC, section 6.1 there; SMOTE-N where all fields are
categories). Whether a number is missing counts as a category. The fitted transform then makes
features of the record, so indicators stay 0 or 1, a sum stays the sum of its parts, and no feature
has a value that no served record could have.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from threadpoolctl import threadpool_limits

from trimaran.served.transform import Transform, TransformData
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.features.fit import table_of

__all__ = ["with_smote"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_NEIGHBOURS = 5


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
    truth values or the numbers of classes, of each of which there are two rows or more.
    """
    if schema.texts:
        raise TrimaranError(
            f"SMOTE makes up records, and cannot make up a text such as {schema.texts[0].name!r}; "
            "balance by weights or resample, or move the field to ignored"
        )
    table = table_of(frame, schema)
    codes = transform.encode(table.categories)
    filled = _filled(table.numbers, transform.data, len(schema.numbers))
    made, made_codes, made_outcomes = _made(
        filled, np.isnan(table.numbers), codes, outcomes.astype(np.int64), seed
    )
    days = filled[:, len(schema.numbers) :]
    whole = [*(field.whole for field in schema.numbers), *(days == np.rint(days)).all(axis=0)]
    made[:, whole] = np.rint(made[:, whole])
    return (
        np.concatenate([features, transform.apply(made, made_codes)]),
        np.concatenate([outcomes, made_outcomes.astype(outcomes.dtype)]),
    )


def _filled(numbers: Numbers, data: TransformData, fields: int) -> Numbers:
    """Numbers and dates `[rows, number fields + date fields]`, where none is missing.

    Numbers are filled and clipped as `data` says; a missing date is the middle one.
    """
    missing = np.isnan(numbers)
    dates = np.zeros(numbers.shape[1] - fields)
    for place, column in enumerate(numbers[:, fields:].T):
        known = np.sort(column[~np.isnan(column)])
        dates[place] = known[len(known) // 2] if len(known) else 0.0
    filled = np.where(missing, np.concatenate([data.fill[:fields], dates]), numbers)
    for place, (low, high) in enumerate(zip(data.low[:fields], data.high[:fields], strict=True)):
        at_least = -np.inf if low is None else low
        filled[:, place] = np.clip(filled[:, place], at_least, np.inf if high is None else high)
    return filled


def _made(
    filled: Numbers,
    missing: npt.NDArray[np.bool_],
    codes: Codes,
    outcomes: npt.NDArray[np.int64],
    seed: int,
) -> tuple[Numbers, Codes, npt.NDArray[np.int64]]:
    """Numbers and dates `[made, fields]`, codes `[category fields, made]`, and outcomes."""
    rows, width = filled.shape
    flagged = np.flatnonzero(missing.any(axis=0))
    middle, spread = filled.mean(axis=0), filled.std(axis=0)
    spread[spread == 0] = 1.0
    categories = codes.T.reshape(rows, len(codes))
    together = np.hstack([(filled - middle) / spread, categories, missing[:, flagged]])
    sampler = _sampler(width, together.shape[1], int(np.bincount(outcomes).min()), seed)
    with threadpool_limits(1):  # the order of sums, and so the last bits, depend on their number
        every, labels = sampler.fit_resample(together, outcomes)
    own = every[rows:]
    made = own[:, :width] * spread + middle
    voted = own[:, width + len(codes) :] > 0
    made[:, flagged] = np.where(voted, np.nan, made[:, flagged])
    return made, own[:, width : width + len(codes)].T.astype(np.int64), labels[rows:]


def _sampler(numbers: int, columns: int, fewest: int, seed: int) -> Any:
    """The variant for so many columns of numbers, followed by categories."""
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC  # takes a second to import

    options = {"k_neighbors": min(_NEIGHBOURS, fewest - 1), "random_state": seed}
    if columns == numbers:
        return SMOTE(**options)
    if not numbers:
        return SMOTEN(**options)
    return SMOTENC(categorical_features=list(range(numbers, columns)), **options)
