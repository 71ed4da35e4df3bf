"""INT8 by ONNX Runtime's quantiser, on the ONNX file that FP32 would be served by.

Static quantisation measures every tensor's range beforehand, on calibration rows, and writes it
into the graph as pairs of QuantizeLinear and DequantizeLinear, which ONNX Runtime and TensorRT both
turn into integer kernels. Weights get a scale for each output channel where the kernels take them.

Dynamic quantisation needs no rows, because the graph measures the range of each activation while it
runs: one range for the whole tensor, batch and all. So what one request sends changes the answers
to those that are batched with it, and only models that are never batched may be served like that.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from exporters.formats.exporter import ExportError, one_sentence
from exporters.formats.onnx import OnnxExporter
from exporters.parity import Arrays
from exporters.precision.reference import Reference
from exporters.spec import ModelSpec

__all__ = ["METHODS", "Int8OnnxExporter", "measures_whole_batches", "takes_scales_per_channel"]

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
        with tempfile.TemporaryDirectory(prefix="trimaran-int8-") as scratch:
            source = Path(scratch) / "fp32.onnx"
            _mark_prepared(model)
            onnx.save(model, source)
            if self.method == "dynamic":
                yield self._dynamic(spec, source, path)
            else:
                yield from self._static(spec, source, path)

    def _dynamic(self, spec: ModelSpec, source: Path, path: Path) -> str:
        with _told_in_one_sentence(spec):
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
                "rows change one another's answers; take --int8 static, or --max-batch-size 1"
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
            with _told_in_one_sentence(spec):
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
    """Whether a graph takes one range for a whole tensor while it runs."""
    return any(node.op_type == "DynamicQuantizeLinear" for node in model.graph.node)


def takes_scales_per_channel(model: onnx.ModelProto) -> bool:
    """Whether each output channel may have a scale of its own.

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
    """Spare the advice to prepare the graph: torch's exporter has folded what can be folded."""
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
def _told_in_one_sentence(spec: ModelSpec) -> Iterator[None]:
    """Without the quantiser's log; its failure as an `ExportError`."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    except Exception as error:
        raise ExportError(
            f"model {spec.name} cannot be quantised: {one_sentence(error)}; take fp16"
        ) from error
    finally:
        logging.disable(level)
