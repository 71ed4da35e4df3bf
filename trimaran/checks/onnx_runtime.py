"""An ONNX file loaded by ONNX Runtime itself: the same code that the server loads it with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trimaran.checks.facts import Graph, GraphTensor
from trimaran.repository import dtypes

__all__ = ["Refusal", "Registry", "load_graph", "loads", "registry"]

_TYPES = {
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(float16)": "FP16",
    "tensor(bfloat16)": "BF16",
    "tensor(string)": "BYTES",
} | {
    f"tensor({dtype.triton.lower()})": dtype.triton
    for dtype in dtypes.DTYPES
    if "INT" in dtype.triton or dtype.triton == "BOOL"
}
_KINDS = {"seq": "sequence", "map": "map", "optional": "optional", "sparse_tensor": "sparse tensor"}
_LEVELS = {-1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}
"""As Triton's backend reads them; any other number means all optimisations."""
_PREFIXES = (
    re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : "),
    re.compile(r"Load model from .*? failed: ?"),
    re.compile(r"\S*\.(?:cc|h):\d+ [^\n]*?\([^\n]*?\)(?: const)? "),
)


@dataclass(frozen=True)
class Refusal:
    """Why ONNX Runtime does not load a file; `lacks_kernel` where only this machine cannot."""

    reason: str
    lacks_kernel: bool = False


@dataclass(frozen=True)
class Registry:
    """The operators that an ONNX Runtime knows, each with its domain."""

    name: str
    operators: frozenset[tuple[str, str]]


@cache
def registry() -> Registry | None:
    """What the installed ONNX Runtime knows, or `None` where there is none."""
    runtime = _onnxruntime()
    if runtime is None:
        return None
    from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

    operators = frozenset((schema.domain, schema.name) for schema in get_all_operator_schema())
    return Registry(f"ONNX Runtime {runtime.__version__}", operators)


def load_graph(path: Path, level: int = 0) -> Graph | Refusal | None:
    """What ONNX Runtime takes a file for, or why it does not load it.

    `level` is that of the configuration's `optimization { graph { level } }`, since optimisations
    also make shapes known. `None` where it is not installed. No weights are rearranged, so that
    this takes about as long as reading the file.
    """
    runtime = _onnxruntime()
    if runtime is None:
        return None
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    try:
        session = _session(runtime, path, _LEVELS.get(level, "ORT_ENABLE_ALL"))
    except Exception as error:
        return Refusal(_reason(error), isinstance(error, errors.NotImplemented))
    return Graph(
        tuple(_tensor(item) for item in session.get_inputs()),
        tuple(_tensor(item) for item in session.get_outputs()),
        frozenset(item.name for item in session.get_overridable_initializers()),
    )


def loads(model: bytes) -> bool:
    """Whether ONNX Runtime is installed and loads a small model."""
    runtime = _onnxruntime()
    try:
        return runtime is not None and bool(_session(runtime, model, "ORT_DISABLE_ALL"))
    except Exception:
        return False


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        return None
    return onnxruntime


def _session(runtime: Any, model: Path | bytes, level: str) -> Any:
    options = runtime.SessionOptions()
    options.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, level)
    options.log_severity_level = 4  # Warnings are no refusals.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.disable_prepacking", "1")
    given = model if isinstance(model, bytes) else str(model)
    return runtime.InferenceSession(given, options, providers=["CPUExecutionProvider"])


def _tensor(item: Any) -> GraphTensor:
    if not item.type.startswith("tensor("):
        return GraphTensor(item.name, "", None, _KINDS.get(item.type.partition("(")[0], "value"))
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in item.shape)
    return GraphTensor(item.name, _TYPES.get(item.type, ""), shape)


def _reason(error: Exception) -> str:
    """ONNX Runtime's words, without the places in its own sources."""
    said = str(error)
    for prefix in _PREFIXES:
        said = prefix.sub("", said, count=1)
    return " ".join(said.split()).rstrip(".")[:300] or type(error).__name__
