"""The sections of the page of `trimaran explore` that compare columns.

Each takes the rows with a target, and the schema.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from trimaran.pages.page import Cell, figure, table, text
from trimaran.served.dates import as_text
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.evaluation.separation import Flags, Floats
from trimaran.training.tabular.exploring.description import cramers_v, outliers, pearson
from trimaran.training.tabular.exploring.plots import heatmap, missing_figure

__all__ = [
    "associations",
    "category_table",
    "correlations",
    "date_table",
    "missing_values",
    "number_table",
    "outlying",
    "percent",
]

_MOST_COMPARED = 30
_MOST_CATEGORIES = 100
_MOST_PAIRS = 15
_STRONG = 0.8


def missing_values(frame: pd.DataFrame, schema: Schema) -> list[Markup]:
    """Which fields lack values, how often, and how often the contrast is positive then."""
    contrast = schema.contrast(frame)
    positive = contrast.flags
    counts = {field.name: int(frame[field.name].isna().sum()) for field in schema.fields}
    names = sorted((name for name, count in counts.items() if count), key=lambda n: -counts[n])
    if not names:
        return [text("No field lacks a value.", "good")]
    rows = []
    for name in names:
        absent = frame[name].isna().to_numpy()
        rates = [percent(_mean(positive[absent])), percent(_mean(positive[~absent]))]
        rows.append((name, counts[name], percent(counts[name] / len(frame)), *rates))
    shares = [counts[name] / len(frame) for name in names[:_MOST_COMPARED]]
    return [
        figure(
            missing_figure(names[:_MOST_COMPARED], shares),
            "Share of the rows in which the field is missing.",
            "bars of the share of missing values by field",
        ),
        table(["field", "missing", "share", f"{contrast.question} if missing", "if present"], rows),
    ]


def number_table(frame: pd.DataFrame, schema: Schema) -> Markup:
    """Mean, spread and quartiles of each number field."""
    rows: list[list[Cell]] = []
    for field in schema.numbers:
        numbers = frame[field.name].dropna()
        if not len(numbers):
            rows.append([field.name, 0, *[None] * 7])
            continue
        quartiles = [float(q) for q in numbers.quantile([0, 0.25, 0.5, 0.75, 1])]
        spread = float(numbers.std(ddof=0))
        rows.append([field.name, int(numbers.nunique()), float(numbers.mean()), spread, *quartiles])
    headers = ["field", "distinct", "mean", "std", "min", "25 %", "median", "75 %", "max"]
    return table(headers, rows) if rows else text("There is no number field.")


def category_table(frame: pd.DataFrame, schema: Schema) -> Markup:
    """The number of categories of each category field, the most and the least frequent."""
    rows: list[list[Cell]] = []
    for field in schema.categories:
        counts = frame[field.name].value_counts()
        if not len(counts):
            rows.append([field.name, 0, None, None, None])
            continue
        share = percent(int(counts.iloc[0]) / len(frame))
        rows.append([field.name, len(counts), str(counts.index[0]), share, str(counts.index[-1])])
    headers = ["field", "distinct", "most frequent", "share", "least frequent"]
    return table(headers, rows) if rows else text("There is no category field.")


def date_table(frame: pd.DataFrame, schema: Schema) -> Markup:
    """The range of each date field, its median, and how many of its dates have a time of day."""
    rows: list[list[Cell]] = []
    for field in schema.dates:
        days = frame[field.name].dropna()
        if not len(days):
            rows.append([field.name, 0, *[None] * 4])
            continue
        shown = [as_text(float(days.quantile(q))) for q in (0, 0.5, 1)]
        rows.append(
            [field.name, int(days.nunique()), *shown, percent(float((days % 1 > 0).mean()))]
        )
    return table(["field", "distinct", "earliest", "median", "latest", "with a time"], rows)


def correlations(frame: pd.DataFrame, schema: Schema) -> list[Markup]:
    """Pearson's correlation of each pair of number fields."""
    names = [field.name for field in schema.numbers]
    left_out = len(names[_MOST_COMPARED:])
    names = names[:_MOST_COMPARED]
    return _compared(names, pearson(frame[names]), "Pearson's correlation", left_out, -1.0)


def associations(frame: pd.DataFrame, schema: Schema) -> list[Markup]:
    """Cramér's V of each pair of category fields, and of each with the target."""
    names = [
        field.name for field in schema.categories if frame[field.name].nunique() <= _MOST_CATEGORIES
    ]
    left_out = len(names[_MOST_COMPARED:])
    names = [*names[:_MOST_COMPARED], schema.target]
    matrix = np.eye(len(names))
    for row, one in enumerate(names):
        for column in range(row):
            value = cramers_v(frame[one], frame[names[column]])
            matrix[row, column] = matrix[column, row] = value
    return _compared(names, matrix, "Cramér's V, corrected for bias", left_out, 0.0)


def _compared(
    names: Sequence[str], matrix: Floats, measure: str, left_out: int, lowest: float
) -> list[Markup]:
    if len(names) < 2:
        return [text("There are fewer than two columns to compare.")]
    rows, columns = np.tril_indices(len(names), -1)
    values = matrix[rows, columns]
    order = np.argsort(-np.abs(np.nan_to_num(values)), kind="stable")[:_MOST_PAIRS]
    strong = [
        (names[columns[i]], names[rows[i]], float(values[i]))
        for i in order
        if abs(values[i]) >= _STRONG
    ]
    caption = f"{measure}, from {lowest:g} to 1." + (
        f" {left_out} further fields are left out." if left_out else ""
    )
    blocks = [figure(heatmap(names, matrix, lowest), caption, f"heatmap of {measure}")]
    if strong:
        blocks.append(text(f"Pairs with nearly the same information ({_STRONG:g} or more):"))
        blocks.append(table(["one", "other", measure], strong))
    return blocks


def outlying(frame: pd.DataFrame, schema: Schema) -> list[Markup]:
    """How many numbers of each field are outliers, and beyond which bounds."""
    rows: list[list[Cell]] = []
    for field in schema.numbers:
        found = outliers(frame[field.name])
        if found is None:
            continue
        rows.append(
            [
                field.name,
                *found.iqr_bounds,
                found.iqr_count,
                percent(found.iqr_count / found.rows),
                *found.z_bounds,
                found.z_count,
                percent(found.z_count / found.rows),
            ]
        )
    if not rows:
        return [text("There is no number.")]
    headers = ["field", "IQR from", "to", "outside", "share", "z from", "to", "outside", "share"]
    return [
        text(
            "Numbers beyond 1.5 interquartile ranges from the quartiles (IQR), and beyond three "
            "standard deviations from the mean (z)."
        ),
        table(headers, rows),
    ]


def _mean(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else math.nan


def percent(share: float) -> Cell:
    """A share of 0 to 1 as text; None for NaN."""
    if math.isnan(share):
        return None
    if not share:
        return "0 %"
    return f"{100 * share:.2g} %" if 0 < share < 0.01 else f"{100 * share:.1f} %"
