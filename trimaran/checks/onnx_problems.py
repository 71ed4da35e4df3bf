"""Why a server does not load an ONNX file: its weights, versions, operators, and structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from trimaran.checks.facts import FileProblem
from trimaran.checks.onnx_runtime import Refusal, loads, registry
from trimaran.repository import target
from trimaran.system.errors import ArtifactError

__all__ = ["onnx_problems", "refused"]

_AGAIN = "export it again"


def onnx_problems(
    model: Any, file: Path, refusal: Refusal | None, *, trusted: bool, own_operators: bool
) -> Iterator[FileProblem]:
    """What is wrong with a `model` from `file`, the first cause alone where there is a `refusal`.

    A `trusted` one is sound for certain, and of one with `own_operators` only the weights and
    versions can be checked.
    """
    causes = [*_weights(model, file), *_versions(model)]
    if not own_operators:
        causes += _unknown_operators(model)
    if refusal is not None:
        yield from causes[:1] or [refused(refusal)]
        return
    yield from causes
    if not causes and not trusted and not own_operators:
        yield from _structure(model)


def refused(refusal: Refusal) -> FileProblem:
    """ONNX Runtime's refusal in its own words."""
    if refusal.lacks_kernel:
        return FileProblem(
            f"has an operator that {_reader()} cannot run on this machine's CPU: {refusal.reason}",
            "serve it where there is a GPU that can, or export it with other operators or types",
            certain=False,
        )
    return FileProblem(f"is not loaded by {_reader()}: {refusal.reason}", _AGAIN)


def _weights(model: Any, file: Path) -> Iterator[FileProblem]:
    """Weights in other files that are missing, too short, or outside the directory."""
    from trimaran.repository.model_files.onnx_model import externals

    try:
        externals(model, file)
    except (ArtifactError, OSError) as problem:
        found, _, remedy = str(problem).removeprefix(f"{file}: ").rpartition("; ")
        yield FileProblem(f"cannot be loaded: {found or remedy}", remedy if found else _AGAIN)


def _versions(model: Any) -> Iterator[FileProblem]:
    """An IR version or an opset that is newer than what the server reads."""
    most = _most(model.ir_version, target.READ_IR_VERSION, lambda version: _probe(version, "", 18))
    if model.ir_version > most:
        yield FileProblem(
            f"has ONNX's IR version {model.ir_version}, and {_reader()} reads {most} at most",
            "export it with an older package onnx, or lower its ir_version",
        )
    for item in model.opset_import:
        domain = "" if item.domain == "ai.onnx" else item.domain
        if domain not in _READ:
            continue
        most = _most(item.version, _READ[domain], partial(_probe, 10, domain))
        if item.version > most:
            yield FileProblem(
                f"has opset {item.version}{f' of {domain}' if domain else ''}, and {_reader()} "
                f"reads {most} at most",
                f"export it with opset {most}",
            )


_READ = {"": target.READ_OPSET, "ai.onnx.ml": target.READ_ML_OPSET}
_NEWEST_PROBED = 200


def _reader() -> str:
    known = registry()
    return known.name if known else "the target container"


def _most(wanted: int, documented: int, probe: Callable[[int], bytes]) -> int:
    """The largest version up to the one that is `wanted` that the server reads."""
    if wanted <= documented or registry() is None:
        return min(wanted, documented)
    candidates = range(min(wanted, _NEWEST_PROBED), documented, -1)
    return next((version for version in candidates if loads(probe(version))), documented)


def _probe(ir_version: int, domain: str, opset: int) -> bytes:
    """The smallest model with these versions."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", [x], [y])
    opsets = [helper.make_opsetid(domain, opset)]
    opsets += [helper.make_opsetid("", 18)] if domain else []
    content: bytes = helper.make_model(
        graph, opset_imports=opsets, ir_version=ir_version
    ).SerializeToString()
    return content


def _unknown_operators(model: Any) -> Iterator[FileProblem]:
    """Operators that ONNX Runtime lacks, where it is installed and lists its own."""
    known = registry()
    if known is None:
        return  # The checker of the package onnx reports those of its own domains.
    own = {(item.domain, item.name) for item in model.functions}
    imported = {item.domain for item in model.opset_import}
    for domain, name in sorted(set(_operators(model.graph)) - own):
        domain = "" if domain == "ai.onnx" else domain
        if (domain, name) in known.operators or (not domain and "" not in imported):
            continue
        whose = f"{domain}.{name}" if domain else name
        yield FileProblem(
            f"has the operator {whose}, which {known.name} does not know",
            "correct its name, or export the model without it",
        )


def _operators(graph: Any) -> Iterator[tuple[str, str]]:
    for node in graph.node:
        yield node.domain, node.op_type
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _operators(inner)


def _structure(model: Any) -> Iterator[FileProblem]:
    """What ONNX's own checker and shape inference refuse, on a copy without the weights.

    Declared shapes that contradict the inferred ones are no refusal: ONNX Runtime merges them.
    """
    import onnx

    light = _without_weights(model)
    failures = (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError)
    try:
        onnx.checker.check_model(light)
        for item in light.graph.output:
            if item.type.HasField("tensor_type"):
                item.type.tensor_type.ClearField("shape")
        onnx.shape_inference.infer_shapes(light, check_type=True, strict_mode=True)
    except failures as problem:
        said = " ".join(str(problem).partition("==>")[0].split())[:300]
        yield FileProblem(f"is not a valid ONNX model: {said}", _AGAIN)


def _without_weights(model: Any) -> Any:
    """A copy whose large initializers are inputs, and which declares no inner values."""
    import onnx

    light = onnx.ModelProto(ir_version=max(model.ir_version, 4))
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    graph = light.graph
    graph.name = model.graph.name or "graph"
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    for item in model.graph.output:
        graph.output.add().CopyFrom(item)
    inputs = {item.name for item in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL and tensor.ByteSize() < _SMALL_BYTES:
            graph.initializer.add().CopyFrom(tensor)
        elif tensor.name not in inputs:
            graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return light


_SMALL_BYTES = 2**12
"""Small initializers are kept: they are shapes, axes and sizes, which inference reads."""
