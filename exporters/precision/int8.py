"""INT8 by ONNX Runtime's quantiser, on the ONNX file that FP32 would be served by.

Static quantisation measures every tensor's range beforehand, on calibration rows, and writes it
into the graph as pairs of QuantizeLinear and DequantizeLinear, which ONNX Runtime and TensorRT both
turn into integer kernels. Weights get a scale for each output channel where the kernels take them.

Dynamic quantisation needs no rows, because the graph measures the range of each activation while it
runs: one range for the whole tensor with all its rows. So one request changes the answers to those
that are batched with it, and only models that are never batched may be served like that.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from exporters.formats.causes import one_sentence
from exporters.formats.exporter import ExportError
from exporters.formats.onnx import OnnxExporter
from exporters.original import Original
from exporters.parity import Arrays
from exporters.precision.reference import Reference, drawn_rows
from exporters.spec import ModelSpec
from trimaran.repository.dtypes import TensorSpec, describe_shape, shapes_agree
from trimaran.system.files import temporary_directory

__all__ = [
    "CALIBRATION_ROWS",
    "METHODS",
    "Int8OnnxExporter",
    "calibration_batches",
    "measures_whole_batches",
    "read_rows",
    "takes_scales_per_channel",
]

METHODS = ("static", "dynamic")

_SHARES_IN_FP32 = (0, 1 / 8, 1 / 4, 1 / 2)
"""How much of the network, from its input on, stays in FP32, tried one after the other. Errors of
the first layers pass through all others, and the first layers of a convolutional network have the
widest ranges: with EfficientNet-Lite0 the first 4 of 92 nodes cause three quarters of the error."""

_FOR_ONNX_RUNTIME = {"activation_type": QuantType.QUInt8, "extra_options": {}}
"""Unsigned activations with signed weights are what the CPU's dot product instructions take."""

_FOR_TENSORRT = {
    "activation_type": QuantType.QInt8,
    "extra_options": {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "AddQDQPairToWeight": True,
    },
}
"""TensorRT takes scales without zero points, and biases in floating point."""

CALIBRATION_ROWS = 128
_SEED = 40_961
_LARGEST_BATCH = 8
"""Every tensor of the network is kept for a batch, so that batches stay small."""


class Int8OnnxExporter(OnnxExporter):
    """`model.onnx` with integer weights and activations, behind the same floating tensors.

    `batches` are the calibration rows; `for_tensorrt` chooses the scales that TensorRT takes.
    """

    def __init__(
        self,
        reference: Reference,
        method: str,
        batches: Sequence[Arrays],
        *,
        for_tensorrt: bool = False,
    ) -> None:
        self.reference = reference
        self.method = method
        self.batches = batches
        self.style = _FOR_TENSORRT if for_tensorrt else _FOR_ONNX_RUNTIME

    def captures(self, spec: ModelSpec, path: Path) -> Iterator[str]:
        """Static: all of the network, then with more and more of its first nodes in FP32.

        Dynamic: one way, and refused for a model that is served in batches. Raises `ExportError`.
        """
        model = onnx.load(self.reference.fp32_artifact(OnnxExporter()))
        # What torch notes of shapes may be that of a weight before it was transposed.
        model.graph.ClearField("value_info")
        with temporary_directory() as scratch:
            source = scratch / "fp32.onnx"
            _mark_prepared(model)
            onnx.save(model, source)
            if self.method == "dynamic":
                yield self._dynamic(spec, source, path)
            else:
                yield from self._static(spec, source, path)

    def _dynamic(self, spec: ModelSpec, source: Path, path: Path) -> str:
        with _refused_in_one_sentence(spec):
            quantize_dynamic(
                source,
                path,
                per_channel=takes_scales_per_channel(onnx.load(source)),
                weight_type=QuantType.QInt8,
            )
        quantised = onnx.load(path)
        if self.reference.original.max_batch_size > 1 and measures_whole_batches(quantised):
            path.unlink()
            raise ExportError(
                f"model {spec.name}: dynamic int8 measures one range over a whole batch, so that "
                "rows change one another's answers; use --int8 static, or --max-batch-size 1"
            )
        _write(quantised, path)
        return "int8 dynamic"

    def _static(self, spec: ModelSpec, source: Path, path: Path) -> Iterator[str]:
        model = onnx.load(source)
        nodes = [node.name for node in model.graph.node]
        for share in _SHARES_IN_FP32:
            kept = round(share * len(nodes))
            if share and not kept:
                continue
            with _refused_in_one_sentence(spec):
                quantize_static(
                    source,
                    path,
                    _Batches(self.batches),
                    quant_format=QuantFormat.QDQ,
                    per_channel=takes_scales_per_channel(model),
                    weight_type=QuantType.QInt8,
                    nodes_to_exclude=nodes[:kept],
                    calibration_cache_path=source.with_suffix(".ranges"),
                    **self.style,
                )
            quantised = onnx.load(path)
            if not any(node.op_type == "QuantizeLinear" for node in quantised.graph.node):
                raise ExportError(
                    f"model {spec.name} has nothing that int8 could compute; export it in fp32"
                )
            _write(quantised, path)
            yield "int8 static" + (f", {kept} of {len(nodes)} nodes in FP32" if kept else "")


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Batches of arrays by input name, as the quantiser asks for them."""

    def __init__(self, batches: Sequence[Arrays]) -> None:
        self._remaining = iter(batches)

    def get_next(self) -> Any:
        """The next batch, `None` after the last."""
        return next(self._remaining, None)


def measures_whole_batches(model: onnx.ModelProto) -> bool:
    """Whether a graph measures one range per tensor while it runs."""
    return any(node.op_type == "DynamicQuantizeLinear" for node in model.graph.node)


def takes_scales_per_channel(model: onnx.ModelProto) -> bool:
    """Whether each output channel may have its own scale.

    ONNX Runtime's integer kernels cannot do that for a stack of matrices, and the quantiser
    would not notice.
    """
    rank = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    return not any(
        node.op_type == "MatMul" and rank.get(name, 2) > 2
        for node in model.graph.node
        for name in node.input
    )


def _mark_prepared(model: onnx.ModelProto) -> None:
    """Suppress the advice to prepare the graph: torch's exporter has folded constants already."""
    onnx.helper.set_model_props(model, {"onnx.infer": "onnxruntime.quant"})


def _write(model: onnx.ModelProto, path: Path) -> None:
    """Write without the quantiser's notes, and without operator sets that nothing uses."""
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    used = {node.domain for node in model.graph.node} | {""}
    kept = [item for item in model.opset_import if item.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    path.write_bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _refused_in_one_sentence(spec: ModelSpec) -> Iterator[None]:
    """Without the quantiser's log; its failure as an `ExportError`."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    except Exception as error:
        raise ExportError(
            f"model {spec.name} cannot be quantised: {one_sentence(error)}; use fp16"
        ) from error
    finally:
        logging.disable(level)


def calibration_batches(original: Original, given: Arrays | None) -> list[Arrays]:
    """Batches to run through the network: the rows that were given, or 128 rows of its samples.

    The gate compares other rows.
    """
    if given is None:
        return list(drawn_rows(original, CALIBRATION_ROWS, _LARGEST_BATCH, _SEED))
    rows = len(next(iter(given.values())))
    return [
        {name: array[start : start + _LARGEST_BATCH] for name, array in given.items()}
        for start in range(0, rows, _LARGEST_BATCH)
    ]


def read_rows(path: Path, inputs: tuple[TensorSpec, ...]) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file by input name, `[rows, ...]` each.

    Raises `ExportError` where the file cannot be read, or a name, type, shape or number of rows is
    not the model's.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise ValueError("it holds one array without a name")
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExportError(
            f"{path} cannot be read as calibration rows: {reason[:200]}; write it with "
            "numpy.savez, one array per input"
        ) from error
    problem = _problem(arrays, inputs)
    if problem:
        raise ExportError(f"{path}: {problem}")
    return arrays


def _problem(arrays: Mapping[str, np.ndarray], inputs: tuple[TensorSpec, ...]) -> str | None:
    names = [spec.name for spec in inputs]
    for name in names:
        if name not in arrays:
            return f"has no array {name!r}; it needs one per input: {', '.join(names)}"
    for name in arrays:
        if name not in names:
            return f"array {name!r} is no input; the inputs are {', '.join(names)}"
    rows = {name: arrays[name].shape[0] if arrays[name].ndim else 0 for name in names}
    for spec in inputs:
        array = arrays[spec.name]
        if array.dtype != spec.dtype.numpy:
            return f"array {spec.name!r} is {array.dtype}; the input is {spec.dtype.numpy}"
        if not shapes_agree(array.shape, (-1, *spec.dims)):
            return (
                f"array {spec.name!r} has shape {describe_shape(array.shape)}; the input is "
                f"{describe_shape((-1, *spec.dims))}, the rows first"
            )
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            return f"array {spec.name!r} holds numbers that are not finite; leave their rows out"
        if rows[spec.name] != rows[names[0]]:
            return (
                f"array {spec.name!r} has {rows[spec.name]} rows and {names[0]!r} has "
                f"{rows[names[0]]}; give each input the same rows"
            )
    if not rows[names[0]]:
        return "holds no rows; give 100 or more that the model will meet"
    return None
