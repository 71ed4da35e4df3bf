"""The JSON Schemas of a model's plain request and answer, with examples.

Types and sizes come from the configuration. What a value means comes from the version that is
live: an input of an ensemble is described by the step that reads it, and an output by the step
that makes it.
"""

from __future__ import annotations

import base64
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from trimaran.gateway.record_schemas import RecordTable, read_table
from trimaran.gateway.tensor_schemas import is_single, tensor_schema
from trimaran.repository.config import ModelConfig, inputs_of, is_ensemble, outputs_of
from trimaran.repository.dtypes import TensorSpec
from trimaran.repository.repository import Repository
from trimaran.repository.served_files import served_directories
from trimaran.served.answers import LABELS, read_labels
from trimaran.served.histories import MOST_NAME_BYTES, USERS
from trimaran.served.outcomes import STATUSES
from trimaran.served.texts import MOST_BYTES
from trimaran.serving.golden import GoldenRequest, usable_golden

__all__ = ["ModelSchemas", "model_schemas"]

Schema = dict[str, Any]

_DECISION = "decision.json"
_FEEDBACK = "predictions_of"
"""The parameter that a model has that takes outcomes."""
_MOST_EXAMPLE_BYTES = 64 * 1024
_HIDDEN = ("Cc", "Cf")
"""The categories of characters that texts are read without."""


@dataclass(frozen=True)
class ModelSchemas:
    """The plain request and answer of one model.

    `request` and `answer` are None where JSON cannot carry the type of an input or output.
    """

    name: str
    ensemble: bool
    versions: Mapping[str, str]
    """Which version answers, of the model and of its steps."""
    request: Schema | None
    answer: Schema | None
    examples: Mapping[str, dict[str, Any]]
    """Requests that the model answers, by name."""
    reads_parameters: bool
    """Whether a member that is no input is refused by name; other models do not look at it."""


@dataclass(frozen=True)
class _Source:
    """The model that reads or makes a tensor, and the tensor's name there."""

    config: ModelConfig
    directory: Path | None
    tensor: str

    def has(self, file: str) -> bool:
        return self.directory is not None and (self.directory / file).is_file()

    def parameter(self, name: str) -> str:
        found = self.config.parameters
        return str(found[name].string_value) if name in found else ""


class _Served:
    """A model and its steps, as they are live."""

    def __init__(self, repository: Repository, name: str) -> None:
        self.config = repository.live(name) or repository.config(name)
        self.directories = served_directories(repository, self.config)
        self._steps = self.config.ensemble_scheduling.step
        models = {step.model_name for step in self._steps}
        self._configs = {model: repository.config(model) for model in models}

    @property
    def versions(self) -> dict[str, str]:
        return {model: directory.name for model, directory in self.directories.items()}

    def reader(self, name: str) -> _Source:
        """The first step that reads an input, or the model itself."""
        wired = ((step.model_name, step.input_map) for step in self._steps)
        return self._source(name, wired)

    def maker(self, name: str) -> _Source:
        """The step that makes an output, or the model itself."""
        wired = ((step.model_name, step.output_map) for step in self._steps)
        return self._source(name, wired)

    def _source(self, name: str, wired: Iterable[tuple[str, Mapping[str, str]]]) -> _Source:
        for model, names in wired:
            for tensor, outer in names.items():
                if outer == name:
                    return _Source(self._configs[model], self.directories.get(model), tensor)
        return _Source(self.config, self.directories.get(self.config.name), name)


def model_schemas(repository: Repository, name: str) -> ModelSchemas:
    """What a model takes and answers.

    Raises `ConfigError` or `TrimaranError` where a configuration cannot be read or leaves types to
    the model.
    """
    served = _Served(repository, name)
    config = served.config
    readers = {spec.name: served.reader(spec.name) for spec in inputs_of(config)}
    places = dict.fromkeys(each.directory for each in readers.values() if each.directory)
    table = next((found for place in places if (found := read_table(place))), None)
    request = _request(config, readers, table)
    return ModelSchemas(
        name,
        is_ensemble(config),
        served.versions,
        request,
        _answer(served, table),
        dict(_examples(repository, config, readers, table)) if request else {},
        table is not None,
    )


def _request(
    config: ModelConfig, readers: Mapping[str, _Source], table: RecordTable | None
) -> Schema | None:
    fields = table.properties(readers) if table else {}
    properties: dict[str, Schema] = {}
    for spec in inputs_of(config):
        known = fields.get(spec.name) or _known_input(readers[spec.name], table)
        schema = tensor_schema(spec, known)
        if schema is None:
            return None
        properties[spec.name] = schema
    request: Schema = {
        "type": "object",
        "properties": properties,
        "required": [spec.name for spec in inputs_of(config) if not spec.optional],
    }
    if table is None:
        request["properties"] = {**_PARAMETERS, **properties}
        request |= _FURTHER
        return request
    request["additionalProperties"] = False
    present = table.present(readers)
    if present:
        request["anyOf"] = present
    return request


def _answer(served: _Served, table: RecordTable | None) -> Schema | None:
    config = served.config
    properties: dict[str, Schema] = {
        "model_name": {"const": config.name},
        "model_version": {"type": "string", "pattern": "^[1-9][0-9]*$"},
    }
    optional = {spec.name for spec in inputs_of(config) if spec.optional}
    required = list(properties)
    for spec in outputs_of(config):
        schema = tensor_schema(spec, _known_output(served.maker(spec.name), spec), bounded=False)
        if schema is None:
            return None
        properties[spec.name] = schema
        if spec.name in optional:
            schema["description"] = "As it was sent; absent where it was not."
        else:
            required.append(spec.name)
    if is_ensemble(config):
        properties |= _OF_ENSEMBLES
    if table is None:
        properties = {"id": {"type": "string"}, **properties}
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _known_input(source: _Source, table: RecordTable | None) -> Schema | None:
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


def _known_output(source: _Source, spec: TensorSpec) -> Schema | None:
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


def _image(source: _Source) -> Schema:
    most = source.parameter("max_megapixels")
    return {
        "type": "string",
        "contentEncoding": "base64",
        "contentMediaType": "image/*",
        "description": "A JPEG, PNG or WebP file in base64"
        + (f", of at most {most} megapixels." if most else "."),
    }


def _text(source: _Source) -> Schema:
    most = int(source.parameter("max_bytes") or MOST_BYTES)
    return {
        "type": "string",
        "maxLength": most,
        "pattern": _visible(),
        "description": f"Text with a visible character, of at most {most:,} bytes in UTF-8.",
    }


def _user(source: _Source) -> Schema:
    refused = source.parameter("unknown") == "refuse"
    return {
        "type": "string",
        "maxLength": MOST_NAME_BYTES,
        "pattern": _visible(),
        "description": "The name of a user; one who is not known "
        + ("is refused." if refused else "gets what is popular."),
    }


def _outcome_id(_: _Source) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "description": "The identifier of the record, or the id of the request, that was answered.",
    }


def _outcome_time(_: _Source) -> Schema:
    return {
        "type": "string",
        "anyOf": [{"format": "date"}, {"format": "date-time"}, {"const": ""}],
        "description": "When the outcome was known, in ISO 8601.",
    }


def _is_feedback(source: _Source) -> bool:
    return bool(source.parameter(_FEEDBACK))


_INPUTS: list[tuple[str, Callable[[_Source], bool], Callable[[_Source], Schema]]] = [
    ("IMAGE", lambda source: source.has("preprocess.json"), _image),
    ("TEXT", lambda source: source.has("encoding.json"), _text),
    ("USER", lambda source: source.has(USERS), _user),
    ("id", _is_feedback, _outcome_id),
    ("time", _is_feedback, _outcome_time),
]
"""Inputs that are described further: the name, whether a version reads it so, and how."""

_FURTHER: Schema = {
    "additionalProperties": {"type": ["string", "boolean", "number"]},
    "propertyNames": {"pattern": "^[^\\u0000]*$"},
}
"""Members that are no inputs become parameters of the request."""

_PARAMETERS: Mapping[str, Schema] = {
    "id": {"type": "string", "description": "The request's id; it is in the answer."},
    "parameters": {
        "type": "object",
        "description": "Parameters of the request, which this model does not read.",
        **_FURTHER,
    },
}

_OF_ENSEMBLES: Mapping[str, Schema] = {
    "sequence_id": {"type": "integer"},
    "sequence_start": {"type": "boolean"},
    "sequence_end": {"type": "boolean"},
}
"""What Triton's ensembles answer besides, although they are no sequences."""


def _examples(
    repository: Repository,
    config: ModelConfig,
    readers: Mapping[str, _Source],
    table: RecordTable | None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The golden requests, or a record of common values where there are none."""
    found = False
    for request in usable_golden(repository, config):
        if sum(map(_bytes_of, request.inputs.values())) <= _MOST_EXAMPLE_BYTES:
            found = True
            yield request.name, _example(config, request)
    if found or table is None:
        return
    record = table.example()
    if "RECORD" in readers:
        yield "typical", {"RECORD": json.dumps(record)}
    else:
        yield "typical", {name: value for name, value in record.items() if name in readers}


def _example(config: ModelConfig, request: GoldenRequest) -> dict[str, Any]:
    """A golden request in the form of the plain one."""
    row = {}
    for spec in inputs_of(config):
        if spec.name in request.inputs:
            given = request.values.get(spec.name)
            values = (
                [_text_of(each) for each in request.inputs[spec.name].reshape(-1).tolist()]
                if given is None
                else list(_flat(given))
            )
            row[spec.name] = values[0] if is_single(spec) else values
    return row


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value


def _text_of(value: Any) -> Any:
    """A file's text, or its base64 where it is no text."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _bytes_of(array: Any) -> int:
    return sum(len(each) if isinstance(each, bytes) else 8 for each in array.reshape(-1).tolist())


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
