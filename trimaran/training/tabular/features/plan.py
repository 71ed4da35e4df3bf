"""The plan of features: what each column of a table becomes, declared before any data is seen.

A plan holds no fitted number; `fit.fit_features` fits those to training rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from trimaran.served.transform import Derived
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import Schema
from trimaran.training.tabular.data.validation import MOST_MISSING
from trimaran.training.tabular.wording import nearest

__all__ = ["OPTIONS", "Binning", "FeaturePlan", "check_plan"]

OPTIONS: Mapping[str, tuple[str | None, ...]] = {
    "impute": ("median", "mode", "mean", "neighbours"),
    "outliers": (None, "zscore", "iqr", "quantile"),
    "scale": (None, "standard", "minmax"),
    "encode": ("onehot", "ordinal", "target", "binary"),
    "missing": ("mode", "category"),
}
"""The options that may differ between columns, and their values."""

_OPERANDS: Mapping[str, tuple[int, int | None]] = {
    "sum": (2, None),
    "difference": (2, 2),
    "product": (2, 2),
    "ratio": (2, 2),
    "log": (1, 1),
}
_BIN_ENCODINGS = ("onehot", "ordinal")

_OF_NUMBER = ("impute", "outliers", "scale")
_OF_CATEGORY = ("encode", "missing", "scale")
_OF_DERIVED = ("scale",)


@dataclass(frozen=True)
class Binning:
    """A number, or a derived column, cut into bins. Raises `TrimaranError`.

    Either `count` bins of about equally many training rows, or the bins between `edges`: the first
    holds what is below the first edge, the last what is at or above the last.
    """

    of: str
    count: int | None = None
    edges: tuple[float, ...] = ()
    encode: str = "onehot"
    """`onehot`: a column for each bin; `ordinal`: one column `<of>_bin`, the bin from 0."""

    def __post_init__(self) -> None:
        where = f"the bins of {self.of!r}"
        _one_of(self.encode, _BIN_ENCODINGS, f"{where}: encode")
        if not _is_sequence(self.edges) or not all(map(_is_number, self.edges)):
            raise TrimaranError(f"{where} have the edges {self.edges!r}; give finite numbers")
        object.__setattr__(self, "edges", tuple(map(float, self.edges)))
        if (self.count is None) == (not self.edges):
            raise TrimaranError(f"{where} need either a count or edges; give one of the two")
        if self.count is not None and (type(self.count) is not int or self.count < 2):
            raise TrimaranError(f"{where} have the count {self.count!r}; give 2 or more")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise TrimaranError(
                f"{where} have edges that do not increase; sort them and remove duplicates"
            )


@dataclass(frozen=True)
class FeaturePlan:
    """What each column becomes. Raises `TrimaranError` for an invalid value."""

    impute: str = "median"
    """For a missing number: the column's `median`, `mode` (the most frequent, the smallest of
    several) or `mean`, or the mean of the nearest `neighbours`."""
    outliers: str | None = None
    """Numbers are held within `zscore`: 3 standard deviations of the mean; `iqr`: 1.5
    interquartile ranges of the quartiles; `quantile`: the quantiles 0.001 and 0.999."""
    scale: str | None = "standard"
    """`standard`: mean 0, standard deviation 1; `minmax`: 0 to 1. Columns of indicators (one-hot,
    binary, flags, one-hot bins) stay 0 and 1."""
    encode: str = "onehot"
    """For a category: `onehot`; `ordinal`: its place among the sorted ones; `target`: the share of
    positive rows, smoothed; `binary`: one column of 0 and 1, for two categories."""
    missing: str = "mode"
    """A missing category counts as the most frequent one (`mode`), or as a separate `category`."""
    smoothing: float = 10.0
    """Target encoding: how many rows of the overall share are added to each category's."""
    flag_missing: bool | tuple[str, ...] = True
    """Numbers with a column `<name>_missing` of 0 and 1: those with missing values in training
    (True), none (False), or always those listed."""
    max_missing: float = MOST_MISSING
    """A field that lacks a larger share of its training values is dropped, with a note."""
    derived: tuple[Derived, ...] = ()
    """New columns, computed from numbers, flags, encoded categories and earlier derived columns."""
    bins: tuple[Binning, ...] = ()
    overrides: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    """Options (see `OPTIONS`) by the name of the field or derived column that they differ for."""
    leave_out: tuple[str, ...] = ()
    """Columns that a model does not get; others may still be derived from them. The name of a
    one-hot encoded category means all its columns."""

    def __post_init__(self) -> None:
        for option, values in OPTIONS.items():
            _one_of(getattr(self, option), values, option)
        if not _is_number(self.smoothing) or self.smoothing < 0:
            raise TrimaranError(f"smoothing is {self.smoothing!r}; give 0 or more rows")
        if not _is_number(self.max_missing) or not 0 <= self.max_missing <= 1:
            raise TrimaranError(f"max_missing is {self.max_missing!r}; give a share from 0 to 1")
        if type(self.flag_missing) is not bool:
            object.__setattr__(self, "flag_missing", _names(self.flag_missing, "flag_missing"))
        object.__setattr__(self, "leave_out", _names(self.leave_out, "leave_out"))
        object.__setattr__(self, "derived", tuple(map(_checked_derived, self.derived)))
        object.__setattr__(self, "bins", tuple(self.bins))
        _check_order(self.derived)
        for column, options in self.overrides.items():
            where = f"the override of {column!r}"
            if not isinstance(options, Mapping) or not options:
                raise TrimaranError(f"{where} is {options!r}; give options, such as impute = mean")
            for option, value in options.items():
                if option not in OPTIONS:
                    raise TrimaranError(
                        f"{where} has no option {option!r}; {nearest(option, OPTIONS)}"
                    )
                _one_of(value, OPTIONS[option], f"{where}: {option}")
        frozen = {name: dict(options) for name, options in self.overrides.items()}
        object.__setattr__(self, "overrides", frozen)

    def option(self, column: str, name: str) -> Any:
        """The value of one of `OPTIONS` for a column: its override, or else the plan's."""
        return self.overrides.get(column, {}).get(name, getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON holds it."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> FeaturePlan:
        """The inverse of `to_dict`; missing entries get their defaults. Raises `TrimaranError`."""
        values = _known(cls, document, "the feature plan")
        for name, kind in (("derived", Derived), ("bins", Binning)):
            if name in values:
                entries = values[name]
                if not _is_sequence(entries):
                    raise TrimaranError(f"{name} is {entries!r}; give a list of tables")
                values[name] = tuple(
                    kind(**_known(kind, entry, f"entry {place} of {name}"))
                    for place, entry in enumerate(entries)
                )
        if not isinstance(values.get("overrides", {}), Mapping):
            raise TrimaranError(f"overrides is {values['overrides']!r}; give a table by column")
        return cls(**values)


def check_plan(plan: FeaturePlan, schema: Schema) -> None:
    """Raise `TrimaranError` for a name or an option that does not fit the schema.

    `fit.fit_features` checks what depends on the data: one-hot columns of categories whose values
    the schema does not list, and flags of numbers that may lack values.
    """
    numbers = {field.name for field in schema.numbers}
    categories = {field.name for field in schema.categories}
    dates = {field.name for field in schema.dates}
    texts = {field.name for field in schema.texts}
    derived = {column.name for column in plan.derived}
    for name in sorted(derived & (numbers | categories | dates | texts)):
        raise TrimaranError(f"the derived column {name!r} has the name of a field; rename it")
    kinds = {
        **dict.fromkeys(numbers, ("a number", _OF_NUMBER)),
        **dict.fromkeys(categories, ("a category", _OF_CATEGORY)),
        **dict.fromkeys(dates, ("a date", _OF_NUMBER)),
        **dict.fromkeys(derived, ("a derived column", _OF_DERIVED)),
    }
    for column, options in plan.overrides.items():
        if column not in kinds:
            raise TrimaranError(
                f"there is no column {column!r} to override; {nearest(column, kinds)}"
            )
        kind, allowed = kinds[column]
        for option in options:
            if option not in allowed:
                raise TrimaranError(
                    f"the override of {column!r} has the option {option!r}, and {column!r} is "
                    f"{kind}; {nearest(option, allowed)}"
                )
        encode = plan.option(column, "encode")
        if column in categories and "scale" in options and encode in ("onehot", "binary"):
            raise TrimaranError(
                f"the override of {column!r} has a scale, and the encoding {encode} gives 0 and "
                f"1, which are not scaled; remove the scale"
            )
    for name in plan.flag_missing if isinstance(plan.flag_missing, tuple) else ():
        if name in categories:
            raise TrimaranError(
                f"flag_missing lists {name!r}, which is a category; give it missing = category"
            )
        if name not in numbers | dates:
            raise TrimaranError(
                f"flag_missing lists no number {name!r}; {nearest(name, sorted(numbers | dates))}"
            )
    _check_sources(plan, schema, numbers)
    for binning in plan.bins:
        if binning.of in categories:
            raise TrimaranError(
                f"bins are of numbers, and {binning.of!r} is a category; remove these bins"
            )
        if binning.of not in numbers | derived:
            hint = nearest(binning.of, sorted(numbers | derived))
            raise TrimaranError(f"there is no column {binning.of!r} to bin; {hint}")


def _known(kind: type[Any], document: Any, where: str) -> dict[str, Any]:
    """The document's entries; refuses unknown entries and missing required ones."""
    if not isinstance(document, Mapping):
        raise TrimaranError(f"{where} is {document!r}; give a table of names and values")
    known = [entry.name for entry in fields(kind)]
    for name in document:
        if name not in known:
            raise TrimaranError(f"{where} has no option {name!r}; {nearest(str(name), known)}")
    required = {FeaturePlan: (), Binning: ("of",), Derived: ("name", "operation", "of")}[kind]
    for name in required:
        if name not in document:
            raise TrimaranError(f"{where} has no {name!r}; add it")
    return dict(document)


def _checked_derived(derived: Derived) -> Derived:
    where = f"the derived column {derived.name!r}"
    _one_of(derived.operation, tuple(_OPERANDS), f"{where}: operation")
    of = _names(derived.of, f"{where}: of")
    least, most = _OPERANDS[derived.operation]
    if len(of) < least or (most is not None and len(of) > most):
        needs = f"{least} or more" if most is None else f"{least}"
        raise TrimaranError(
            f"{where} is a {derived.operation} of {len(of)} columns; give {needs} columns"
        )
    return Derived(derived.name, derived.operation, of)


def _check_order(derived: Iterable[Derived]) -> None:
    """Refuse a name given twice, a circle, and a column derived from a later one."""
    of: dict[str, list[str]] = {}
    for column in derived:
        if column.name in of:
            raise TrimaranError(f"two derived columns are named {column.name!r}; rename one")
        of[column.name] = list(column.of)
    try:
        TopologicalSorter(of).prepare()
    except CycleError as error:
        circle = " of ".join(map(repr, reversed(error.args[1])))
        raise TrimaranError(
            f"derived columns depend on one another ({circle}); derive one of them from fields"
        ) from None
    before: set[str] = set()
    for name, sources in of.items():
        for source in sources:
            if source in of and source not in before:
                raise TrimaranError(
                    f"the derived column {name!r} is of {source!r}, which comes after it; put "
                    f"{source!r} first"
                )
        before.add(name)


def _check_sources(plan: FeaturePlan, schema: Schema, numbers: set[str]) -> None:
    """Refuse a derived column of a column that neither exists nor may exist after encoding."""
    known = {*numbers, *(f"{name}_missing" for name in numbers)}
    open_prefixes = []
    onehot = set()
    for category in schema.categories:
        if plan.option(category.name, "encode") != "onehot":
            known.add(category.name)
            continue
        onehot.add(category.name)
        known.add(f"{category.name}_missing")
        if category.values is None:
            open_prefixes.append(f"{category.name}=")
        known.update(f"{category.name}={value}" for value in category.values or ())
    for derived in plan.derived:
        for name in derived.of:
            if name in onehot:
                raise TrimaranError(
                    f"the derived column {derived.name!r} is of {name!r}, which is one-hot "
                    f"encoded; name one of its columns, {name}=VALUE, or encode it otherwise"
                )
            if name not in known and not name.startswith(tuple(open_prefixes)):
                raise TrimaranError(
                    f"the derived column {derived.name!r} is of {name!r}, and there is no such "
                    f"column; {nearest(name, sorted(known))}"
                )
        known.add(derived.name)


def _one_of(value: object, values: tuple[str | None, ...], what: str) -> None:
    if not any(value is known or (value == known and type(value) is str) for known in values):
        known = [str(known) for known in values]
        near = nearest(value if isinstance(value, str) else "", known)
        raise TrimaranError(f"{what} is {value!r}; {near}")


def _names(value: Any, what: str) -> tuple[str, ...]:
    if not _is_sequence(value) or not all(isinstance(name, str) and name for name in value):
        raise TrimaranError(f"{what} is {value!r}; give a list of columns")
    return tuple(value)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and type(value) is not bool and math.isfinite(value)
