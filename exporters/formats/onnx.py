"""ONNX through torch's dynamo exporter: one file, dynamic batch, no paths of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from exporters.any_length import of_any_length
from exporters.formats.causes import explain
from exporters.formats.exporter import Exporter, ExportError
from exporters.formats.program import captured_program, dynamic_shapes
from exporters.parity import Arrays, Run
from exporters.spec import BATCH_AXIS, Interface, ModelSpec
from exporters.torch_state import quiet, silent_torch
from trimaran.repository import target

__all__ = ["OnnxExporter"]

_NO_LOG = 4


class OnnxExporter(Exporter):
    """`model.onnx` for Triton's `onnxruntime` backend."""

    format = "onnx"
    backend = "onnxruntime"
    file_name = "model.onnx"
    libraries = ("torch", "onnx", "onnxscript", "onnxruntime")

    def captures(self, spec: ModelSpec, path: Path) -> Iterator[str]:
        """One way: `torch.export` with the batch axis declared dynamic."""
        try:
            model = _capture(spec)
            _strip_debug_data(model)
            onnx.checker.check_model(model)
            content = model.SerializeToString(deterministic=True)
        except Exception as error:
            raise ExportError(
                f"model {spec.name} cannot be exported to ONNX: {explain(error, spec.module)}"
            ) from error
        _require_dynamic_axes(spec, model)
        path.write_bytes(content)
        yield "dynamo"

    def load(self, path: Path, interface: Interface) -> Run:
        """ONNX Runtime on the CPU."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _NO_LOG
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [spec.name for spec in interface.outputs]

        def run(inputs: Arrays) -> Arrays:
            feed = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
            return dict(zip(names, session.run(names, feed), strict=True))

        return run

    def target(self, path: Path) -> Mapping[str, str | int]:
        """Opset and IR version, compared with those that the target container reads."""
        model = onnx.load(path)
        opset = max(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
        if opset > target.ONNX_OPSET or model.ir_version > target.ONNX_IR_VERSION:
            raise ExportError(
                f"the ONNX file has opset {opset} and IR {model.ir_version}; container "
                f"{target.CONTAINER} is served opset {target.ONNX_OPSET} and IR "
                f"{target.ONNX_IR_VERSION} at most"
            )
        return {"container": target.CONTAINER, "opset": opset, "ir_version": model.ir_version}


def _capture(spec: ModelSpec) -> onnx.ModelProto:
    # With onnxscript, which takes a second to import, and which only a capture needs.
    from exporters.formats.onnx_operators import TRANSLATIONS

    with quiet(), silent_torch(), of_any_length():
        program = torch.onnx.export(
            *_captured(spec),
            dynamo=True,
            input_names=list(spec.example_inputs),
            output_names=list(spec.output_names),
            dynamic_shapes=dynamic_shapes(spec),
            custom_translation_table=dict(TRANSLATIONS),
            external_data=False,
            opset_version=target.ONNX_OPSET,
            verbose=False,
        )
    if program is None:
        raise ExportError("torch gave nothing")
    return program.model_proto


def _captured(spec: ModelSpec) -> tuple[Any, ...]:
    """The program that other formats are made from; the module itself where it has none.

    Torch's exporter to ONNX tries a second way then, and gives the reason if that fails too.
    """
    try:
        return (captured_program(spec),)
    except Exception:
        return spec.positional(), tuple(spec.example_inputs.values())


def _strip_debug_data(model: onnx.ModelProto) -> None:
    """Remove stack traces and source paths, which say where the export was made."""
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    graphs: list[Any] = [model.graph, *model.functions]
    while graphs:
        graph = graphs.pop()
        items = [graph, *graph.node, *graph.value_info]
        if isinstance(graph, onnx.GraphProto):
            items += [*graph.input, *graph.output, *graph.initializer]
        for item in items:
            item.ClearField("metadata_props")
            item.ClearField("doc_string")
        for node in graph.node:
            for attribute in node.attribute:
                graphs += [attribute.g] if attribute.HasField("g") else []
                graphs += attribute.graphs


def _require_dynamic_axes(spec: ModelSpec, model: onnx.ModelProto) -> None:
    """Refuse a graph in which torch made a dynamic axis fixed."""
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        varying = {axis: item.name for axis, item in spec.axes.get(value.name, {}).items()}
        for axis, label in {0: BATCH_AXIS, **varying}.items():
            if axis >= len(dims) or not dims[axis].dim_param:
                fixed = dims[axis].dim_value if axis < len(dims) else "missing"
                raise ExportError(
                    f"model {spec.name} cannot be exported to ONNX: the {label} axis of "
                    f"{value.name!r} came out as {fixed}; do not compute with a fixed {label} "
                    f"size in forward: len(x) and int(x.shape[{axis}]) are fixed, x.shape[{axis}] "
                    "is not"
                )
