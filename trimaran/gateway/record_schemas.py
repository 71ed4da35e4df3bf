"""The JSON Schema of a table's record, of what the served version knows about each field.

| field | schema |
|---|---|
| number | between the bounds that the version has, or those of FP32 |
| category | the values of the training, or any other text, which is an unknown value |
| date | a date, with or without a time of day, or empty text for a missing one |
| text | text |

The policy behind it is that of `trimaran.served.records`: every field may be left out, but not all
of them. A record is read as the schema says; that a date lies between its bounds is in its
description alone, since JSON Schema compares no dates.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimaran.gateway.tensor_schemas import FP32_MAX
from trimaran.served.dates import as_text
from trimaran.served.distribution import Feature, Reference
from trimaran.served.transform import TransformData
from trimaran.served.words import MOST_CHARACTERS

__all__ = ["REFERENCE", "TRANSFORM", "RecordTable", "read_table"]

REFERENCE, TRANSFORM = "reference.json", "transform.json"

_DATES = [{"format": "date"}, {"format": "date-time"}]
_MISSING: Mapping[str, Any] = {"const": ""}
_MOSTLY = 0.7
"""The share of a field's values that its description tells of."""
_TERMS = 3
"""As many as an example of a text has."""

Schema = dict[str, Any]


@dataclass(frozen=True)
class RecordTable:
    """What a version knows of the table that it was trained on."""

    data: TransformData
    known: Mapping[str, Feature]
    """The distribution in the training part, by field or by the column made of it."""

    def properties(self, names: Collection[str]) -> dict[str, Schema]:
        """The schemas of those of the table's fields that are among `names`."""
        found = {
            field["name"]: self._property(field)
            for field in self.data.fields
            if field["name"] in names
        }
        if self.data.identifier in names:
            found[str(self.data.identifier)] = {
                "type": "string",
                "description": "Names the record; nothing is computed from it.",
            }
        return found

    def present(self, names: Collection[str]) -> list[Schema]:
        """Alternatives, one of which a record must meet: it holds one field at least."""
        return [
            {"required": [field["name"]], "properties": {field["name"]: filled}}
            if (filled := _FILLED[field["kind"]])
            else {"required": [field["name"]]}
            for field in self.data.fields
            if field["name"] in names
        ]

    def schema(self) -> Schema:
        """The schema of a whole record."""
        names = [field["name"] for field in self.data.fields]
        every = [*names, self.data.identifier] if self.data.identifier else names
        return {
            "type": "object",
            "properties": self.properties(every),
            "additionalProperties": False,
            "anyOf": self.present(names),
        }

    def example(self) -> dict[str, Any]:
        """A record of what was most common in training, field by field."""
        values = {field["name"]: self._typical(field) for field in self.data.fields}
        return {name: value for name, value in values.items() if value is not None}

    def _property(self, field: Mapping[str, Any]) -> Schema:
        kind, least, most = field["kind"], field["least"], field["most"]
        typical = self._typical(field)
        schema: Schema = {"type": "number" if kind == "number" else "string"}
        if kind == "number":
            schema["minimum"] = -FP32_MAX if least is None else least
            schema["maximum"] = FP32_MAX if most is None else most
            schema["description"] = self._common(field["name"]) or "A number."
        elif kind == "category":
            values = self._vocabulary(field["name"])
            schema["anyOf"] = [{"enum": values}, {"description": "An unknown value."}]
            schema["description"] = (
                f"One of {len(values)} values; any other text counts as an unknown value."
            )
        elif kind == "date":
            schema["anyOf"] = [*_DATES, _MISSING]
            low, high = (None if bound is None else as_text(bound) for bound in (least, most))
            bounds = f"{f' from {low}' if low else ''}{f' until {high}' if high else ''}"
            schema["description"] = (
                f"A date{bounds}, ISO 8601; a time of day without a zone is taken for UTC."
            )
        else:
            schema["maxLength"] = MOST_CHARACTERS
            schema["description"] = "Text of several words, each of which may count."
        if typical is not None:
            schema["examples"] = [typical]
        return schema

    def _vocabulary(self, name: str) -> list[str]:
        return next(list(each.vocabulary) for each in self.data.categories if each.name == name)

    def _common(self, name: str) -> str:
        """How the values of a number field lay in training, where that is known."""
        feature = self.known.get(name)
        if feature is None or len(feature.edges) < 2:
            return ""
        *present, _ = feature.counts
        if sum(present[1:-1]) < _MOSTLY * sum(present):
            return ""
        return f"In training mostly from {feature.edges[0]:g} to {feature.edges[-1]:g}."

    def _typical(self, field: Mapping[str, Any]) -> Any:
        name, kind = field["name"], field["kind"]
        if kind == "date":
            newest = [each.newest for each in self.data.dates if each.name == name]
            return as_text(float(int(newest[0]))) if newest else None
        if kind == "text":
            terms = [term for each in self.data.texts if each.name == name for term in each.terms]
            return " ".join([term for term in terms if " " not in term][-_TERMS:]) or None
        feature = self.known.get(name)
        if feature is None:
            return None
        if kind == "number":
            return feature.edges[len(feature.edges) // 2] if feature.edges else None
        return max(zip(feature.counts, feature.values, strict=False), default=(0, None))[1]


def read_table(directory: Path) -> RecordTable | None:
    """The table of the version in a directory, or None if it was not made of one."""
    try:
        data = TransformData.from_json((directory / TRANSFORM).read_text(encoding="utf-8"))
        features = Reference.read(directory / REFERENCE).features
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # or a file of another kind
        return None
    return RecordTable(data, {each.name: each for each in features})


_FILLED: Mapping[str, Schema] = {
    "number": {},
    "category": {"minLength": 1},
    "text": {"minLength": 1},
    "date": {"anyOf": _DATES},
}
"""What a field's value is besides, if it is not missing."""
