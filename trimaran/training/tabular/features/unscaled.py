"""A feature plan fitted to training rows, without the scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from trimaran.served.dates import DAYS, Dates
from trimaran.served.records import Table
from trimaran.served.transform import Bins, Category, Derived, Neighbours, Transform, TransformData
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.features import columns
from trimaran.training.tabular.features.dates import fit_dates
from trimaran.training.tabular.features.plan import FeaturePlan
from trimaran.training.tabular.features.texts import fit_texts
from trimaran.training.tabular.wording import nearest

__all__ = ["COUNT", "STORED_ROWS", "Unscaled", "fit_neighbours", "fit_unscaled", "wide_columns"]

Floats = npt.NDArray[np.float64]

COUNT = 5
"""Neighbours whose mean replaces a missing number; as many as in scikit-learn."""
STORED_ROWS = 500
"""Few, since each request is compared with all of them."""


@dataclass(frozen=True)
class Unscaled:
    """A transform whose outputs are all its columns, unscaled."""

    data: TransformData
    dropped: frozenset[str]
    """Columns of fields that lack too many values: a model must not get them."""
    notes: tuple[str, ...]
    """A sentence for each deviation from the plan."""


def fit_unscaled(
    plan: FeaturePlan, schema: Schema, table: Table, outcomes: Floats | None, seed: int
) -> Unscaled:
    """Fit to all rows of a table; `outcomes` is `[rows]`, or None. Raises `TrimaranError`."""
    fields = [field.name for field in schema.numbers]
    dates, dates_notes = fit_dates(schema, table)
    of = {column: date.name for date in dates for column in date.columns}
    names = [*fields, *of]
    numbers = Dates(dates, len(fields)).columns(table.numbers)
    present = [column[~np.isnan(column)] for column in numbers.T]
    circular = {name for name in of if not name.endswith(f"_{DAYS}")}
    outliers = {
        name: None if name in circular else plan.option(of.get(name, name), "outliers")
        for name in names
    }
    shares = _missing_shares(schema, table)
    too_few = [name for name, share in shares.items() if share > plan.max_missing]
    categories = _categories(plan, table, [field.name for field in schema.categories], outcomes)
    bounds = [
        columns.outlier_bounds(values, outliers[name])
        for name, values in zip(names, present, strict=True)
    ]
    measured = [*fields, *(date.name for date in dates)]
    lacking = [name for name in measured if shares[name] and name not in too_few]
    flags = list(plan.flag_missing) if isinstance(plan.flag_missing, tuple) else lacking
    flags = flags if plan.flag_missing else []
    imputed = [name for name in fields if plan.option(name, "impute") == "neighbours"]
    imputed = [name for name in imputed if name not in too_few]
    texts = fit_texts(schema, table)
    encoded = [name for category in categories for name in category.columns]
    encoded += [name for text in texts for name in text.columns]
    data = TransformData(
        fields=[asdict(field) for field in schema.records_fields()],
        identifier=schema.identifier,
        fill=[
            columns.fill_value(values, plan.option(of.get(name, name), "impute"))
            for name, values in zip(names, present, strict=True)
        ],
        low=[None if bound is None else bound[0] for bound in bounds],
        high=[None if bound is None else bound[1] for bound in bounds],
        flags=flags,
        neighbours=fit_neighbours(table.numbers[:, : len(fields)], fields, imputed, too_few, seed),
        categories=categories,
        derived=[],
        bins=[],
        outputs=_distinct([*names, *encoded, *(f"{name}_missing" for name in flags)]),
        shift=[],
        factor=[],
        dates=dates,
        texts=texts,
    )
    dropped = _columns_of(too_few, data)
    derived, derived_notes = _derived(plan, data, dropped)
    data = replace(data, derived=derived, outputs=_distinct([*data.outputs, *_names(derived)]))
    bins, bins_notes = _bins(plan, data, dropped, table)
    binned = [name for column in bins for name in column.columns]
    data = replace(data, bins=bins, outputs=_distinct([*data.outputs, *binned]))
    notes = [
        *(
            f"the field {name!r} was dropped: {shares[name]:.1%} of its training values are missing"
            for name in too_few
        ),
        *(
            f"the outliers of {name!r} are not clipped: {outliers[name]} would make "
            "all of its values the same"
            for name, bound, values in zip(names, bounds, present, strict=True)
            if outliers[name] and bound is None and np.unique(values).size > 1
        ),
        *dates_notes,
        *derived_notes,
        *bins_notes,
    ]
    return Unscaled(data, dropped, tuple(notes))


def wide_columns(data: TransformData, table: Table) -> npt.NDArray[np.float32]:
    """The data's outputs, unscaled, float32 `[rows, len(data.outputs)]`, by the transform."""
    width = len(data.outputs)
    transform = Transform(replace(data, shift=[0.0] * width, factor=[1.0] * width))
    return transform.apply(table.numbers, transform.encode(table.categories), table.texts)


def fit_neighbours(
    numbers: npt.NDArray[np.float64],
    names: Sequence[str],
    imputed: Sequence[str],
    dropped: Collection[str],
    seed: int,
) -> Neighbours | None:
    """The training rows that a transform stores, to impute missing numbers from.

    `numbers` is float64 `[rows, len(names)]`, NaN where missing. At most `STORED_ROWS` rows are
    chosen by `seed` among those that hold every `imputed` column, or among all where fewer than
    `COUNT` do. Their other gaps are filled with medians. A column's spread is its standard
    deviation, or 1 where it does not vary. A `dropped` column is its median in every row, so that
    it has no effect on distances. None when there is nothing to impute.
    """
    if not imputed:
        return None
    known = ~np.isnan(numbers)
    present = [numbers[known[:, place], place] for place in range(len(names))]
    median = np.array([np.median(values) if len(values) else 0.0 for values in present])
    spread = np.array([np.std(values) if len(values) else 0.0 for values in present])
    complete = np.where(known, numbers, median)
    constant = [place for place, name in enumerate(names) if name in dropped]
    complete[:, constant] = median[constant]
    donors = np.flatnonzero(known[:, [names.index(name) for name in imputed]].all(axis=1))
    if len(donors) < COUNT:
        donors = np.arange(len(numbers))
    size = min(STORED_ROWS, len(donors))
    chosen = np.sort(np.random.default_rng(seed).choice(donors, size, replace=False))
    return Neighbours(
        columns=list(imputed),
        rows=complete[chosen].tolist(),
        spread=np.where(spread > 0, spread, 1.0).tolist(),
        count=min(COUNT, size),
    )


def _missing_shares(schema: Schema, table: Table) -> dict[str, float]:
    """The share of missing values, by field, in the schema's order."""
    numbers = np.isnan(table.numbers).mean(axis=0).tolist()
    written = [*table.categories, *table.texts]
    texts = [sum(value is None for value in values) / len(table) for values in written]
    measured = [*schema.numbers, *schema.dates]
    shares = dict(zip([field.name for field in measured], numbers, strict=True))
    fields = [*schema.categories, *schema.texts]
    shares |= dict(zip([field.name for field in fields], texts, strict=True))
    return {field.name: shares[field.name] for field in schema.fields}


def _categories(
    plan: FeaturePlan, table: Table, names: Sequence[str], outcomes: Floats | None
) -> list[Category]:
    categories = []
    means = np.zeros(len(table)) if outcomes is None else outcomes
    for name, values in zip(names, table.categories, strict=True):
        encode, missing = plan.option(name, "encode"), plan.option(name, "missing")
        if encode == "target" and outcomes is None:
            raise TrimaranError(
                f"the encoding target of {name!r} is the mean of an outcome or of a number, and "
                "several classes have none; use onehot"
            )
        fitted = columns.category(
            name, values, means, encode=encode, missing=missing, smoothing=plan.smoothing
        )
        if encode == "binary" and len(fitted.vocabulary) > 2:
            raise TrimaranError(
                f"the encoding binary is for two categories, and {name!r} has "
                f"{len(fitted.vocabulary)} in training; use onehot"
            )
        categories.append(fitted)
    return categories


def _columns_of(fields: Collection[str], data: TransformData) -> frozenset[str]:
    """All columns made of these fields alone, except flags: those that exist were requested."""
    made: dict[str, Sequence[str]] = {date.name: date.columns for date in data.dates}
    made |= {text.name: text.columns for text in data.texts}
    made |= {category.name: category.columns for category in data.categories}
    beyond = frozenset(f"{date.name}_{DAYS}" for date in data.dates if date.as_of in fields)
    return beyond.union(*((field, *made.get(field, ())) for field in fields))


def _derived(
    plan: FeaturePlan, data: TransformData, dropped: Collection[str]
) -> tuple[list[Derived], list[str]]:
    """The derived columns that can be made, and a note for each that needs a dropped field."""
    known, gone = list(data.outputs), set(dropped)
    one_hot = tuple(f"{name}=" for name in dropped)
    made, notes = [], []
    for derived in plan.derived:
        lost = [name for name in derived.of if name in gone or name.startswith(one_hot)]
        if lost:
            gone.add(derived.name)
            notes.append(
                f"the derived column {derived.name!r} was dropped: it is of {lost[0]!r}, which was "
                "dropped"
            )
            continue
        for name in derived.of:
            if name not in known:
                raise TrimaranError(
                    f"the derived column {derived.name!r} is of {name!r}, which training "
                    f"lacks; {nearest(name, known)}"
                )
        known.append(derived.name)
        made.append(Derived(derived.name, derived.operation, list(derived.of)))
    return made, notes


def _bins(
    plan: FeaturePlan, data: TransformData, dropped: Collection[str], table: Table
) -> tuple[list[Bins], list[str]]:
    """The bins of the remaining columns, and a note where there are fewer than requested."""
    if not plan.bins:
        return [], []
    places = {name: place for place, name in enumerate(data.outputs) if name not in dropped}
    wide = wide_columns(data, table)
    made, notes = [], []
    for binning in plan.bins:
        if binning.of not in places:
            notes.append(f"the bins of {binning.of!r} were dropped, as that column was")
            continue
        edges: Sequence[float] = binning.edges
        if binning.count is not None:
            column = wide[:, places[binning.of]].astype(np.float64)
            edges = columns.quantile_edges(column, binning.count)
            if len(edges) + 1 < binning.count:
                notes.append(
                    f"{binning.of!r} has {len(edges) + 1} bins instead of {binning.count}: many of "
                    "its training values are the same"
                )
        made.append(columns.bins(binning.of, edges, binning.encode))
    return made, notes


def _names(derived: Sequence[Derived]) -> list[str]:
    return [column.name for column in derived]


def _distinct(names: Sequence[str]) -> list[str]:
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise TrimaranError(f"{count} columns would be named {name!r}; rename a field or a column")
    return list(names)
