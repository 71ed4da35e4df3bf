"""One field of a schema: its kind, and what it may hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from trimaran.served.dates import as_text, days_of
from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import refuse_unknown, texts_of, value_of
from trimaran.training.tabular.wording import nearest

__all__ = ["FLOAT32_MAX", "KINDS", "FieldSchema", "first_repeated", "read_field"]

KINDS = ("number", "category", "date", "text")
FLOAT32_MAX = float(np.finfo(np.float32).max)
"""The largest number allowed: served numbers are FP32."""

_SHOWN_BOUND = 40
_FIELD_KEYS = {
    "number": ("type", "least", "most", "whole"),
    "category": ("type", "values"),
    "date": ("type", "least", "most", "as_of"),
    "text": ("type",),
}


@dataclass(frozen=True)
class FieldSchema:
    """One field that a model may learn from. Raises `TrimaranError` for a contradiction."""

    name: str
    kind: str
    """`number`, `category`, `date` or `text`."""
    least: float | None = None
    """The smallest number allowed, inclusive; the earliest date, as in `trimaran.served.dates`."""
    most: float | None = None
    """The largest number or the latest date allowed, inclusive."""
    whole: bool = False
    """Whether each number is a whole one."""
    values: tuple[str, ...] | None = None
    """The categories allowed; None allows any."""
    as_of: str | None = None
    """The date field to which the days of this date are counted; None for the schema's `time`."""

    def __post_init__(self) -> None:
        where = f"the field {self.name!r}"
        if not self.name:
            raise TrimaranError("a field has an empty name; give it the name of its column")
        if self.kind not in KINDS:
            raise TrimaranError(
                f"{where} has the type {self.kind!r}; it must be one of {', '.join(KINDS)}"
            )
        for key, bound in (("least", self.least), ("most", self.most)):
            if bound is not None and not abs(bound) <= FLOAT32_MAX:
                raise TrimaranError(
                    f"{where} has {key} = {_shortened(bound)}, which FP32 cannot hold; leave "
                    f"{key} out if there is no such bound"
                )
        if self.least is not None and self.most is not None and self.least > self.most:
            form = as_text if self.kind == "date" else "{:g}".format
            raise TrimaranError(
                f"{where} has least = {form(self.least)}, which is more than most = "
                f"{form(self.most)}; swap the two"
            )
        bounded = self.least is not None or self.most is not None
        if self.kind in ("category", "text") and (bounded or self.whole):
            raise TrimaranError(f"{where} is a {self.kind}, which has no least, most or whole")
        if self.kind != "category" and self.values is not None:
            raise TrimaranError(
                f"{where} is a {self.kind}, which has no values; use least and most"
            )
        if self.values is not None:
            self._check_values(where, self.values)

    @staticmethod
    def _check_values(where: str, values: tuple[str, ...]) -> None:
        if not values:
            raise TrimaranError(f"{where} allows no value; leave values out to allow any")
        if "" in values:
            raise TrimaranError(f"{where} has empty text among its values, which means missing")
        twice = first_repeated(values)
        if twice is not None:
            raise TrimaranError(f"{where} has the value {twice!r} twice; remove one")


def read_field(name: str, table: Any) -> FieldSchema:
    """The field of a table of TOML. Raises `TrimaranError`."""
    where = f"the field {name!r}: "
    if not isinstance(table, dict):
        raise TrimaranError(f"{where}expected a table with a type, such as [fields.{name}]")
    kind = value_of(table, "type", str, "number, category, date or text", where, required=True)
    if kind not in KINDS:
        raise TrimaranError(f"{where}there is no type {kind!r}; {nearest(kind, KINDS)}")
    refuse_unknown(table, _FIELD_KEYS[kind], f"{where}for the type {kind}, ")
    bound = _day if kind == "date" else _number
    return FieldSchema(
        name=name,
        kind=kind,
        least=bound(table, "least", where),
        most=bound(table, "most", where),
        whole=value_of(table, "whole", bool, "true or false", where) or False,
        values=texts_of(table, "values", where),
        as_of=value_of(table, "as_of", str, "a date field's name", where),
    )


def _number(table: Mapping[str, Any], key: str, where: str) -> float | None:
    found: float | None = value_of(table, key, (int, float), "a number", where)
    return found


def _day(table: Mapping[str, Any], key: str, where: str) -> float | None:
    value = value_of(table, key, (str, date, datetime), "a date", where)
    if value is None:
        return None
    try:
        return days_of(str(value))
    except ValueError:
        raise TrimaranError(
            f"{where}{key} is {str(value)[:_SHOWN_BOUND]!r}; expected a date, such as 2026-01-31"
        ) from None


def first_repeated(names: Iterable[str]) -> str | None:
    """The first of the names that is there more than once."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _shortened(bound: float) -> str:
    """A bound as text; TOML's integers may have thousands of digits."""
    text = str(bound)
    return text if len(text) <= _SHOWN_BOUND else f"{text[:_SHOWN_BOUND]}…"
