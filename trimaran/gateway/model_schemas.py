"""The JSON Schemas of a model's plain request and answer, with examples.

Types and sizes come from the configuration. What a value means comes from the version that is
live: an input of an ensemble is described by the step that reads it, and an output by the step
that makes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trimaran.gateway.known_tensors import Source, known_input, known_output
from trimaran.gateway.record_schemas import RecordTable, read_table
from trimaran.gateway.tensor_schemas import is_single, tensor_schema
from trimaran.repository.config import ModelConfig, inputs_of, is_declared, is_ensemble, outputs_of
from trimaran.repository.repository import Repository
from trimaran.repository.served_files import served_directories
from trimaran.serving.golden import GoldenRequest, usable_golden
from trimaran.serving.json_rows import text_or_base64

__all__ = ["ModelSchemas", "model_schemas"]

Schema = dict[str, Any]

_MOST_EXAMPLE_BYTES = 64 * 1024
_CLASSES = "x-classes"
"""The key of a schema with the classes of which a list has the probabilities, in order."""


@dataclass(frozen=True)
class ModelSchemas:
    """The plain request and answer of one model.

    `request` and `answer` are None where JSON cannot carry the type of an input or output, or where
    the configuration leaves the types to the model.
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

    def reader(self, name: str) -> Source:
        """The first step that reads an input, or the model itself."""
        wired = ((step.model_name, step.input_map) for step in self._steps)
        return self._source(name, wired)

    def maker(self, name: str) -> Source:
        """The step that makes an output, or the model itself."""
        wired = ((step.model_name, step.output_map) for step in self._steps)
        return self._source(name, wired)

    def _source(self, name: str, wired: Iterable[tuple[str, Mapping[str, str]]]) -> Source:
        for model, names in wired:
            for tensor, outer in names.items():
                if outer == name:
                    return Source(self._configs[model], self.directories.get(model), tensor)
        return Source(self.config, self.directories.get(self.config.name), name)


def model_schemas(repository: Repository, name: str) -> ModelSchemas:
    """What a model takes and answers.

    Raises `TrimaranError` where a configuration cannot be read.
    """
    served = _Served(repository, name)
    config = served.config
    if not is_declared(config):
        return ModelSchemas(name, is_ensemble(config), served.versions, None, None, {}, False)
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
    config: ModelConfig, readers: Mapping[str, Source], table: RecordTable | None
) -> Schema | None:
    fields = table.properties(readers) if table else {}
    properties: dict[str, Schema] = {}
    for spec in inputs_of(config):
        known = fields.get(spec.name) or known_input(readers[spec.name], table)
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
        schema = tensor_schema(spec, known_output(served.maker(spec.name), spec), bounded=False)
        if schema is None:
            return None
        properties[spec.name] = schema
        if spec.name in optional:
            schema["description"] = "As it was sent; absent where it was not."
        else:
            required.append(spec.name)
    _name_classes(properties)
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


def _name_classes(properties: Mapping[str, Schema]) -> None:
    """Name the class of each probability, where a prediction of as many classes stands beside."""
    for name, schema in properties.items():
        classes = properties.get(f"{name.removesuffix('_probability')}_prediction", {}).get("enum")
        if name.endswith("_probability") and classes and schema.get("maxItems") == len(classes):
            schema |= {_CLASSES: classes, "description": "A probability of each class, in order."}


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
    readers: Mapping[str, Source],
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
                [text_or_base64(each) for each in request.inputs[spec.name].reshape(-1).tolist()]
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


def _bytes_of(array: Any) -> int:
    return sum(len(each) if isinstance(each, bytes) else 8 for each in array.reshape(-1).tolist())
