"""What is known of a tensor by the model that reads or makes it, beyond its type and size.

| a version holds | known |
|---|---|
| `preprocess.json` | an input is an image |
| `encoding.json` | an input is a text |
| `users.txt` | an input is a user of a recommender |
| `transform.json` | an input is a record as JSON text |
| `labels.txt`, `decision.json` | the texts of an output |
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from trimaran.gateway.record_schemas import RecordTable
from trimaran.repository.config import ModelConfig
from trimaran.repository.dtypes import TensorSpec
from trimaran.served.answers import LABELS, read_labels
from trimaran.served.histories import MOST_NAME_BYTES, USERS
from trimaran.served.outcomes import STATUSES
from trimaran.served.texts import MOST_BYTES

__all__ = ["Source", "known_input", "known_output"]

Schema = dict[str, Any]

_DECISION = "decision.json"
_FEEDBACK = "predictions_of"
"""The parameter that a model has that takes outcomes."""
_HIDDEN = ("Cc", "Cf")
"""The categories of characters that texts are read without."""


@dataclass(frozen=True)
class Source:
    """The model that reads or makes a tensor, and the tensor's name there."""

    config: ModelConfig
    directory: Path | None
    tensor: str

    def has(self, file: str) -> bool:
        """Whether the version holds a file."""
        return self.directory is not None and (self.directory / file).is_file()

    def parameter(self, name: str) -> str:
        """A parameter of the configuration, empty where there is none."""
        found = self.config.parameters
        return str(found[name].string_value) if name in found else ""


def known_input(source: Source, table: RecordTable | None) -> Schema | None:
    """What is known of an input that is no field of a table, or None."""
    for tensor, belongs, describe in _INPUTS:
        if tensor == source.tensor and belongs(source):
            return describe(source)
    if table is not None and source.tensor == "RECORD":
        return {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": table.schema(),
            "description": "A record as the text of one flat JSON object.",
        }
    return None


def known_output(source: Source, spec: TensorSpec) -> Schema | None:
    """The values that an output of text can have, or None where that is not known."""
    if spec.dtype.triton != "BYTES" or source.directory is None:
        return None
    tensor = source.tensor
    if tensor == "status" and _is_feedback(source):
        return {"enum": list(STATUSES)}
    if tensor == "BASIS" and source.has(USERS):
        return {"enum": ["history", "popularity"]}
    if tensor == "LABEL" and source.has(_DECISION):
        decision = json.loads((source.directory / _DECISION).read_text(encoding="utf-8"))
        return {"enum": [decision["negative"], decision["positive"]]}
    if (tensor == "LABEL" or tensor.endswith("_prediction")) and source.has(LABELS):
        return {"enum": list(read_labels(source.directory / LABELS))}
    return None


def _image(source: Source) -> Schema:
    most = source.parameter("max_megapixels")
    return {
        "type": "string",
        "contentEncoding": "base64",
        "contentMediaType": "image/*",
        "description": "A JPEG, PNG or WebP file in base64"
        + (f", of at most {most} megapixels." if most else "."),
    }


def _text(source: Source) -> Schema:
    most = int(source.parameter("max_bytes") or MOST_BYTES)
    return {
        "type": "string",
        "maxLength": most,
        "pattern": _visible(),
        "description": f"Text with a visible character, of at most {most:,} bytes in UTF-8.",
    }


def _user(source: Source) -> Schema:
    refused = source.parameter("unknown") == "refuse"
    return {
        "type": "string",
        "maxLength": MOST_NAME_BYTES,
        "pattern": _visible(),
        "description": "The name of a user; one who is not known "
        + ("is refused." if refused else "gets what is popular."),
    }


def _outcome_id(_: Source) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "description": "The identifier of the record, or the id of the request, that was answered.",
    }


def _outcome_time(_: Source) -> Schema:
    return {
        "type": "string",
        "anyOf": [{"format": "date"}, {"format": "date-time"}, {"const": ""}],
        "description": "When the outcome was known, in ISO 8601.",
    }


def _is_feedback(source: Source) -> bool:
    return bool(source.parameter(_FEEDBACK))


_INPUTS: list[tuple[str, Callable[[Source], bool], Callable[[Source], Schema]]] = [
    ("IMAGE", lambda source: source.has("preprocess.json"), _image),
    ("TEXT", lambda source: source.has("encoding.json"), _text),
    ("USER", lambda source: source.has(USERS), _user),
    ("id", _is_feedback, _outcome_id),
    ("time", _is_feedback, _outcome_time),
]
"""Inputs that are described further: the name, whether a version reads it so, and how."""


@cache
def _visible() -> str:
    """A pattern of the texts that `texts.cleaned` leaves something of."""
    hidden = (code for code in range(sys.maxunicode + 1) if not _shows(chr(code)))
    ranges = []
    for _, run in groupby(enumerate(hidden), lambda each: each[1] - each[0]):
        codes = [code for _, code in run]
        ranges.append(f"{chr(codes[0])}-{chr(codes[-1])}")
    return f"[^{''.join(ranges)}]"


def _shows(character: str) -> bool:
    return unicodedata.category(character) not in _HIDDEN and not character.isspace()
