"""The cells of a column, in the type that a schema gives them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from trimaran.served.dates import days_of
from trimaran.system.csv_rows import number_in
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.fields import FLOAT32_MAX
from trimaran.training.tabular.data.reading import text_of

__all__ = ["days_in", "numbers_in"]


def numbers_in(column: pd.Series, where: str) -> npt.NDArray[np.float64]:
    """A column of numbers or texts, NaN where missing. Raises `TrimaranError`.

    `where` is put before the place of a cell, which the column's index has.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    parsed: dict[object, float] = {}
    for place, cell in column.items():
        if cell not in parsed:
            number = number_in(text_of(cell), FLOAT32_MAX)
            if number is None:
                raise TrimaranError(
                    f"{where} {place}, column {column.name!r}: {str(cell)[:40]!r} is not a "
                    f"number that FP32 can hold; write it as 1234.5, or leave it empty if it is "
                    f"missing"
                )
            parsed[cell] = number
    return np.array([parsed[cell] for cell in column], dtype=np.float64)


def days_in(column: pd.Series, where: str) -> npt.NDArray[np.float64]:
    """A column of dates, as `trimaran.served.dates` has them. Raises `TrimaranError`."""
    parsed: dict[str, float] = {}
    texts = [text_of(cell) for cell in column]
    for place, text in zip(column.index, texts, strict=True):
        if text not in parsed:
            try:
                parsed[text] = days_of(text)
            except ValueError:
                raise TrimaranError(
                    f"{where} {place}, column {column.name!r}: {text[:40]!r} is not a date; write "
                    "it as 2026-01-31 or 2026-01-31T09:30, or leave it empty if it is missing"
                ) from None
    return np.array([parsed[text] for text in texts], dtype=np.float64)
