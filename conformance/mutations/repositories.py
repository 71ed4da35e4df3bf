"""Small good repositories to mutate, written without torch; every name has its case's prefix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conformance.mutations.model_files import (
    external_graph,
    relu_graph,
    torchscript,
    weighted_graph,
)
from trimaran.config import ModelConfig, format_config, parse_config

__all__ = ["GOOD", "Draft", "Folder", "good_repository"]

_PYTHON = b'''\
import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Answers zeros in the shape that the configuration promises."""

    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.batched = int(config["max_batch_size"]) > 0
        self.outputs = [
            (
                item["name"],
                pb_utils.triton_string_to_numpy(item["data_type"]),
                [max(int(dim), 1) for dim in item.get("reshape", {}).get("shape", item["dims"])],
            )
            for item in config["output"]
        ]

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        rows = [request.inputs()[0].shape()[0]] if self.batched else []
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor(
                    name, np.full(rows + dims, b"a" if dtype == np.object_ else 0, dtype)
                )
                for name, dtype, dims in self.outputs
            ]
        )
'''

_LABELED = """
backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] reshape { shape: [ 2, 2 ] } }
input { name: "text" data_type: TYPE_STRING dims: [ 1 ] }
input { name: "mask" data_type: TYPE_BOOL dims: [ -1 ] optional: true }
output { name: "y" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "labels.txt" }
instance_group { count: 1 kind: KIND_CPU }
dynamic_batching {
  preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100
  priority_levels: 2 default_priority_level: 1
  priority_queue_policy { key: 2 value { timeout_action: DELAY default_timeout_microseconds: 9 } }
}
version_policy { specific { versions: [ 1, 2 ] } }
model_warmup {
  name: "one" batch_size: 1
  inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 4 ] input_data_file: "x" } }
  inputs { key: "text" value { data_type: TYPE_STRING dims: [ 1 ] input_data_file: "text" } }
}
"""
_PLAIN = """
backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
instance_group { count: 1 }
"""
_COMPLETING = _PYTHON.replace(
    b"    def initialize",
    b"""    @staticmethod
    def auto_complete_config(config):
        config.set_max_batch_size(8)
        for item in INPUTS:
            config.add_input(item)
        config.add_output(OUTPUT)
        return config

    def initialize""",
    1,
).replace(
    b"class Triton",
    b"""INPUTS = [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]
OUTPUT = {"name": "y", "data_type": "TYPE_FP32", "dims": [4]}


class Triton""",
    1,
)
_PARTIAL = """
backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" }
"""
_ARCHIVE = """
backend: "pytorch" max_batch_size: 8
input { name: "input" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ 4 ] }
instance_group { count: 1 }
"""
_ONNX = """
backend: "onnxruntime" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
instance_group { count: 1 }
dynamic_batching { }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
"""
_SEQUENCE = """
backend: "python" max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
instance_group { count: 1 }
sequence_batching {
  oldest { max_candidate_sequences: 4 preferred_batch_size: [ 2 ] }
  control_input { name: "START" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } }
  control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }
}
"""
_PAIR = """
platform: "ensemble" max_batch_size: 8
input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ 4 ] }
ensemble_scheduling {
  step { model_name: "@first" model_version: -1
    input_map { key: "x" value: "X" } output_map { key: "y" value: "M" } }
  step { model_name: "@second" model_version: -1
    input_map { key: "x" value: "M" } output_map { key: "y" value: "Y" } }
}
"""
_CHAIN = """
platform: "ensemble" max_batch_size: 4
input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
input { name: "NOTE" data_type: TYPE_STRING dims: [ 1 ] optional: true }
output { name: "Y" data_type: TYPE_FP32 dims: [ 4 ] label_filename: "labels.txt" }
output { name: "M" data_type: TYPE_FP32 dims: [ -1 ] }
ensemble_scheduling {
  step { model_name: "@last" model_version: -1
    input_map { key: "x" value: "N" } output_map { key: "y" value: "Y" } }
  step { model_name: "@first" model_version: 1
    input_map { key: "x" value: "X" } input_map { key: "note" value: "NOTE" }
    output_map { key: "y" value: "M" } }
  step { model_name: "@middle" model_version: 1
    input_map { key: "x" value: "M" } output_map { key: "y" value: "N" } }
}
"""


_OUTER = """
platform: "ensemble" max_batch_size: 0
input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ 4 ] }
ensemble_scheduling {
  step { model_name: "@inner" model_version: -1
    input_map { key: "X" value: "X" } output_map { key: "Y" value: "M" } }
  step { model_name: "@many" model_version: -1
    input_map { key: "x" value: "M" } output_map { key: "y" value: "N" } }
  step { model_name: "@join" model_version: -1
    input_map { key: "x" value: "N" } input_map { key: "z" value: "N" }
    output_map { key: "y" value: "Y" } }
}
"""
_INNER = """
platform: "ensemble" max_batch_size: 0
input { name: "X" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ -1 ] }
ensemble_scheduling {
  step { model_name: "@join" model_version: -1
    input_map { key: "x" value: "X" } input_map { key: "z" value: "X" }
    output_map { key: "y" value: "Y" } }
}
"""


@dataclass
class Folder:
    """A model's directory to be: a configuration, or any text or bytes for it, and files by path.

    A path that ends in a slash is an empty directory.
    """

    config: ModelConfig | None
    files: dict[str, bytes]
    text: str | None = None
    content: bytes | None = None

    def write(self, directory: Path) -> None:
        """Write it to disk."""
        directory.mkdir(parents=True)
        if self.content is not None:
            (directory / "config.pbtxt").write_bytes(self.content)
        elif self.text is not None or self.config is not None:
            text = format_config(self.config) if self.text is None else self.text  # type: ignore[arg-type]
            (directory / "config.pbtxt").write_text(text)
        for name, content in self.files.items():
            path = directory / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@dataclass
class Draft:
    """A repository to be: model directories by name."""

    folders: dict[str, Folder] = field(default_factory=dict)

    def add(self, name: str, text: str, files: dict[str, bytes], prefix: str) -> None:
        """One more model; `@` in its configuration stands for the prefix."""
        config = parse_config(text.replace("@", prefix), name)
        config.name = prefix + name
        self.folders[prefix + name] = Folder(config, dict(files))

    def write(self, root: Path) -> None:
        """Write all of it to disk."""
        for name, folder in self.folders.items():
            folder.write(root / name)

    def ensembles(self) -> Iterator[Folder]:
        """The folders whose configuration has steps."""
        for folder in self.folders.values():
            if folder.config is not None and folder.config.HasField("ensemble_scheduling"):
                yield folder


def _labeled(draft: Draft, prefix: str) -> None:
    files = {
        "1/model.py": _PYTHON,
        "2/model.py": _PYTHON,
        "labels.txt": b"a\nb\nc\n",
        "warmup/x": bytes(16),
        "warmup/text": b"\x03\x00\x00\x00abc",
    }
    draft.add("labeled", _LABELED, files, prefix)


def _onnx(draft: Draft, prefix: str) -> None:
    draft.add("onnx", _ONNX, {"1/model.onnx": relu_graph()}, prefix)


def _plain(draft: Draft, prefix: str) -> None:
    draft.add("plain", _PLAIN, {"1/model.py": _PYTHON}, prefix)


def _sequence(draft: Draft, prefix: str) -> None:
    draft.add("sequence", _SEQUENCE, {"1/model.py": _PYTHON}, prefix)


def _pair(draft: Draft, prefix: str) -> None:
    for name in ("first", "second"):
        draft.add(name, _PLAIN, {"1/model.py": _PYTHON}, prefix)
    draft.add("pair", _PAIR, {"1/": b""}, prefix)


def _chain(draft: Draft, prefix: str) -> None:
    optional = 'input { name: "note" data_type: TYPE_STRING dims: [ 1 ] optional: true }'
    two = "version_policy { all { } }"
    python = {"1/model.py": _PYTHON}
    draft.add("first", _PLAIN + optional + two, {**python, "2/model.py": _PYTHON}, prefix)
    draft.add("middle", _ONNX, {"1/model.onnx": relu_graph()}, prefix)
    draft.add("last", _PLAIN.replace("[ 4 ]", "[ -1 ]", 1), python, prefix)
    draft.add("chain", _CHAIN, {"1/": b"", "labels.txt": b"a\nb\nc\nd\n"}, prefix)


def _graph(draft: Draft, prefix: str) -> None:
    files = {"1/model.onnx": weighted_graph().SerializeToString()}
    draft.add("graph", _ONNX, files, prefix)


def _external(draft: Draft, prefix: str) -> None:
    files = {f"1/{name}": content for name, content in external_graph().items()}
    draft.add("external", _ONNX, files, prefix)


def _archive(draft: Draft, prefix: str) -> None:
    draft.add("archive", _ARCHIVE, {"1/model.pt": torchscript()}, prefix)


def _partial(draft: Draft, prefix: str) -> None:
    draft.add("partial", _PARTIAL, {"1/model.py": _COMPLETING}, prefix)


def _nested(draft: Draft, prefix: str) -> None:
    """Ensembles without batches, one in the other, over steps with and without batches."""
    python = {"1/model.py": _PYTHON}
    draft.add("many", _PLAIN + "model_transaction_policy { decoupled: true }", python, prefix)
    two = 'input { name: "z" data_type: TYPE_FP32 dims: [ 4 ] }'
    draft.add("join", _PLAIN.replace("max_batch_size: 8", "") + two, python, prefix)
    draft.add("inner", _INNER, {"1/": b""}, prefix)
    draft.add("outer", _OUTER, {"1/": b""}, prefix)


GOOD = {
    "labeled": _labeled,
    "onnx": _onnx,
    "plain": _plain,
    "sequence": _sequence,
    "pair": _pair,
    "chain": _chain,
    "graph": _graph,
    "external": _external,
    "archive": _archive,
    "partial": _partial,
    "nested": _nested,
}
"""What makes each good repository."""


def good_repository(name: str, prefix: str) -> Draft:
    """A repository that Triton serves and in which nothing is wrong."""
    draft = Draft()
    GOOD[name](draft, prefix)
    return draft
