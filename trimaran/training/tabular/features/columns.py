"""Fitting one column: a fill value, outlier bounds, a table of codes, a scale.

Pure functions of training values; `unscaled.py` and `fit.py` decide which column gets which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from trimaran.served.transform import Bins, Category

__all__ = ["bins", "category", "fill_value", "outlier_bounds", "quantile_edges", "scaling"]

Floats = npt.NDArray[np.float64]

_DEVIATIONS = 3.0
_RANGES = 1.5
_TAIL = 0.001
_ORDINAL_UNKNOWN = -1.0


def fill_value(present: Floats, impute: str) -> float:
    """The replacement of missing numbers, from the values present; 0 where there are none.

    `median`, `mean`, or `mode`: the most frequent value, the smallest of several. `neighbours`
    falls back to the median, for a row that has no number to find neighbours by.
    """
    if not len(present):
        return 0.0
    if impute == "mean":
        return float(np.mean(present))
    if impute == "mode":
        values, counts = np.unique(present, return_counts=True)
        return float(values[np.argmax(counts)])
    return float(np.median(present))


def outlier_bounds(present: Floats, method: str | None) -> tuple[float, float] | None:
    """The smallest and largest numbers that are no outliers; None for no bounds.

    `zscore`: 3 standard deviations (of the population) on either side of the mean. `iqr`: Tukey's
    fences, 1.5 interquartile ranges beyond the quartiles (Exploratory Data Analysis, 1977, 2D).
    `quantile`: 0.001 and 0.999. Equal bounds are no bounds: most values of such a column are
    the same, and clipping would make all of them the same.
    """
    if method is None or not len(present):
        return None
    if method == "zscore":
        middle, reach = np.mean(present), _DEVIATIONS * np.std(present)
        low, high = middle - reach, middle + reach
    elif method == "iqr":
        first, third = np.quantile(present, (0.25, 0.75))
        low, high = first - _RANGES * (third - first), third + _RANGES * (third - first)
    else:
        low, high = np.quantile(present, (_TAIL, 1 - _TAIL))
    return (float(low), float(high)) if low < high else None


def scaling(column: Floats, method: str | None) -> tuple[float, float]:
    """The shift and the factor of `(column - shift) * factor`, for a column that varies.

    `standard`: by the mean and the standard deviation of the population; `minmax`: to 0 to 1.
    """
    if method == "standard":
        return float(np.mean(column)), float(1 / np.std(column))
    if method == "minmax":
        least, most = np.min(column), np.max(column)
        return float(least), float(1 / (most - least))
    return 0.0, 1.0


def category(
    name: str,
    values: Sequence[str | None],
    target: Floats,
    *,
    encode: str,
    missing: str,
    smoothing: float,
) -> Category:
    """A category's vocabulary, sorted, and its table, of training `values`, None where missing.

    | encode | columns | row of value i of n | row of missing | unknown |
    |---|---|---|---|---|
    | `onehot` | `name=value` | 1 in column i | 1 in `name_missing` | zeros |
    | `ordinal` | `name` | i | n | -1 |
    | `target` | `name` | smoothed share | its smoothed share | overall share |
    | `binary` | `name` | i | 0.5 | 0.5 |

    With `missing` = `mode`, the row of missing is that of the most frequent value (of several, the
    first by sorting). One-hot has the column `name_missing` only if training lacks values.

    The smoothed share, or mean, of n rows with the sum s of `target` (float `[rows]`) is
    `(s + smoothing * overall) / (n + smoothing)`: equations 3 and 4 of D. Micci-Barreca, "A
    preprocessing scheme for high-cardinality categorical attributes in classification and
    prediction problems", SIGKDD Explorations 3(1), 2001, with the weight n / (n + smoothing). It
    includes the training rows' own outcomes.
    """
    counts = Counter(values)
    lacking = counts.pop(None, 0)
    vocabulary = sorted(value for value in counts if value is not None)
    size, columns = len(vocabulary), [name]
    if encode == "onehot":
        columns = [f"{name}={value}" for value in vocabulary]
        own = missing == "category" and lacking > 0
        columns += [f"{name}_missing"] if own else []
        table = np.eye(size + 2, len(columns)).tolist()
    elif encode == "target":
        table = _shares(vocabulary, values, target, smoothing)
    elif encode == "binary":
        table = [*([float(code)] for code in range(size)), [0.5], [0.5]]
    else:
        table = [*([float(code)] for code in range(size + 1)), [_ORDINAL_UNKNOWN]]
    if missing == "mode":
        mode = max(vocabulary, key=lambda value: counts[value], default=None)
        table[size] = table[size + 1 if mode is None else vocabulary.index(mode)]
    return Category(name, vocabulary, [list(row) for row in table], columns)


def quantile_edges(column: Floats, count: int) -> list[float]:
    """The edges between `count` bins of about equally many values.

    Quantiles, each once, that lie within the column's range: there are fewer than `count - 1`
    where many values are the same.
    """
    inner = np.unique(np.quantile(column, np.arange(1, count) / count))
    return [float(edge) for edge in inner if column.min() < edge < column.max()]


def bins(of: str, edges: Sequence[float], encode: str) -> Bins:
    """The table of a column's bins: `ordinal` in `<of>_bin`, `onehot` in a column for each."""
    count = len(edges) + 1
    if encode == "ordinal":
        return Bins(of, list(edges), [[float(row)] for row in range(count)], [f"{of}_bin"])
    texts = [f"{edge:.0f}" if edge == round(edge) else repr(edge) for edge in edges]
    between = [f"{low}<={of}<{high}" for low, high in pairwise(texts)]
    columns = [f"{of}<{texts[0]}", *between, f"{of}>={texts[-1]}"] if texts else [f"{of}_bin"]
    return Bins(of, list(edges), np.eye(count).tolist(), columns)


def _shares(
    vocabulary: Sequence[str], values: Sequence[str | None], target: Floats, smoothing: float
) -> list[list[float]]:
    overall = float(np.mean(target))
    places = {value: place for place, value in enumerate([*vocabulary, None])}
    codes = [places[value] for value in values]
    rows = np.bincount(codes, minlength=len(places))
    sums = np.bincount(codes, weights=target, minlength=len(places))
    weight = rows + smoothing
    smoothed = np.full(len(places), overall)
    np.divide(sums + smoothing * overall, weight, out=smoothed, where=weight > 0)
    return [[share] for share in [*smoothed.tolist(), overall]]
