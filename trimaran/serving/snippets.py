"""Example calls of a served model, for a shell and for Python."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from trimaran.repository import dtypes
from trimaran.repository.config import ModelConfig, inputs_of
from trimaran.repository.dtypes import TensorSpec
from trimaran.system.ports import Ports

__all__ = ["curl_snippet", "python_snippet", "takes_one_file"]

_JSON_VALUES = 100
_NOT_IN_JSON = {"FP16", "BF16"}
_DECODED = "IMAGE"
"""The input of an image ensemble, whose preprocessing also decodes base64."""


def takes_one_file(config: ModelConfig) -> bool:
    """Whether the bytes of a file are a complete request: one input, BYTES, one value per row."""
    inputs = inputs_of(config)
    return len(inputs) == 1 and inputs[0].dtype.triton == "BYTES" and inputs[0].dims == (1,)


def curl_snippet(
    config: ModelConfig, ports: Ports, example: Mapping[str, Any] | None = None
) -> str | None:
    """A shell line that sends one row as JSON; `None` where JSON does not suit the inputs.

    `example` is a row that the model answers, by input name, with one value each.
    """
    url = f"http://{ports.host}:{ports.http}/v2/models/{config.name}"
    if example:
        return f"curl -s --json {shlex.quote(json.dumps(example))} {url}/generate"
    if takes_one_file(config):
        name = config.input[0].name
        if name != _DECODED:
            return f"curl -s --json {shlex.quote(json.dumps({name: 'text'}))} {url}/generate"
        return (
            f'printf \'{{"{name}": "%s"}}\' "$(base64 -w0 photo.jpg)" | '
            f"curl -s --json @- {url}/generate"
        )
    specs = inputs_of(config)
    if sum(map(_count, specs)) > _JSON_VALUES or any(s.dtype.triton in _NOT_IN_JSON for s in specs):
        return None
    inputs = [
        {
            "name": spec.name,
            "datatype": spec.dtype.triton,
            "shape": list(_shape(config, spec)),
            "data": [_example(spec.dtype)] * _count(spec),
        }
        for spec in specs
    ]
    return f"curl -s --json '{json.dumps({'inputs': inputs})}' {url}/infer"


def python_snippet(
    config: ModelConfig, ports: Ports, example: Mapping[str, Any] | None = None
) -> str:
    """A Python script that sends one row through tritonclient over gRPC."""
    if example and all(_is_field(spec) for spec in inputs_of(config) if spec.name in example):
        return _record_snippet(config, ports, example)
    lines = [
        "import numpy as np",
        "import tritonclient.grpc as triton",
        "",
        f'client = triton.InferenceServerClient("{ports.host}:{ports.grpc}")',
    ]
    names = []
    for index, spec in enumerate(inputs_of(config)):
        shape = list(_shape(config, spec))
        if takes_one_file(config) and spec.name == _DECODED:
            lines.append('photo = np.array([[open("photo.jpg", "rb").read()]], dtype=object)')
            value = "photo"
        elif spec.dtype.triton == "BYTES":
            value = f'np.full({shape}, b"text", dtype=object)'
        else:
            value = f'np.zeros({shape}, dtype="{spec.dtype.numpy}")'
        name = f"input_{index}"
        names.append(name)
        lines.append(f'{name} = triton.InferInput("{spec.name}", {shape}, "{spec.dtype.triton}")')
        lines.append(f"{name}.set_data_from_numpy({value})")
    lines.append(f'result = client.infer("{config.name}", [{", ".join(names)}])')
    lines += [f'print(result.as_numpy("{output.name}"))' for output in config.output]
    return "\n".join(lines)


def _record_snippet(config: ModelConfig, ports: Ports, example: Mapping[str, Any]) -> str:
    fields = "".join(f"    {name!r}: {value!r},\n" for name, value in example.items())
    outputs = ", ".join(f'result.as_numpy("{output.name}")' for output in config.output)
    return f"""\
import numpy as np
import tritonclient.grpc as triton

record = {{
{fields}}}
client = triton.InferenceServerClient("{ports.host}:{ports.grpc}")
inputs = []
for name, value in record.items():
    text = isinstance(value, str)
    inputs.append(triton.InferInput(name, [1, 1], "BYTES" if text else "FP32"))
    array = np.array([[value.encode() if text else value]], object if text else np.float32)
    inputs[-1].set_data_from_numpy(array)
result = client.infer("{config.name}", inputs)
print({outputs})"""


def _is_field(spec: TensorSpec) -> bool:
    return spec.dims == (1,) and spec.dtype.triton in ("BYTES", "FP32")


def _shape(config: ModelConfig, spec: TensorSpec) -> tuple[int, ...]:
    batch = (1,) if config.max_batch_size > 0 else ()
    return (*batch, *(dim if dim > 0 else 1 for dim in spec.dims))


def _count(spec: TensorSpec) -> int:
    count = 1
    for dim in spec.dims:
        count *= max(dim, 1)
    return count


def _example(dtype: dtypes.DType) -> Any:
    if dtype.triton == "BYTES":
        return "text"
    return False if dtype.triton == "BOOL" else 0.0 if dtype.is_floating else 0
