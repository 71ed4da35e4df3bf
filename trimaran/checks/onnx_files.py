"""An ONNX file as the rules need it: its interface, and why a server would not load it.

ONNX Runtime judges where it is installed; the package `onnx` explains what it refuses, and judges
by itself where it is not, or where a file is too large to be loaded for a check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from trimaran.checks.facts import FileProblem, Graph, GraphTensor
from trimaran.checks.onnx_runtime import Refusal, load_graph, loads, registry
from trimaran.errors import ArtifactError

__all__ = ["ONNX_IR_READ", "ONNX_OPSET_READ", "can_read_graphs", "read_onnx"]

ONNX_OPSET_READ = 23
ONNX_IR_READ = 11
"""What the target container reads at least, where no ONNX Runtime tells more: container 26.06 has
ONNX Runtime 1.24, and 1.23 took in ONNX 1.18 (microsoft/onnxruntime pull request 24449)."""

_LARGEST_GRAPH_BYTES = 2**31 - 1
_LARGEST_LOADED_BYTES = 2**29
"""A file and its weights up to this size are loaded by a check, which takes about a second."""

_AGAIN = "export it again"


def can_read_graphs() -> bool:
    """Whether the package `onnx` is installed."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        return False
    return True


def read_onnx(
    path: Path, *, level: int = 0, trusted: bool = False, own_operators: bool = False
) -> Graph | str:
    """What an ONNX file, or a directory that holds `model.onnx`, takes and gives.

    `level` is how the configuration lets it be optimised.
    A `trusted` file is what was published, whose loading was tried then. One with `own_operators`
    needs a library that is not loaded here. A text says why the file cannot be read at all.
    """
    file = path / "model.onnx" if path.is_dir() else path
    if not file.is_file():
        return f"{file.name} is missing in it"
    refusal = None
    if not trusted and not own_operators and _loaded_bytes(file) <= _LARGEST_LOADED_BYTES:
        loaded = load_graph(file, level)
        if isinstance(loaded, Graph):
            return loaded
        refusal = loaded
    if not can_read_graphs():
        return _unexplained(refusal) if refusal else Graph((), ())
    return _parsed(file, refusal, trusted=trusted, own_operators=own_operators)


def _loaded_bytes(file: Path) -> int:
    """The size of a file with all that lies beside it, which may be its weights."""
    try:
        return sum(item.stat().st_size for item in file.parent.iterdir() if item.is_file())
    except OSError:
        return 0


def _parsed(
    file: Path, refusal: Refusal | None, *, trusted: bool, own_operators: bool
) -> Graph | str:
    import onnx
    from google.protobuf.message import DecodeError

    if file.stat().st_size > _LARGEST_GRAPH_BYTES:
        return "it has more than 2 GiB, which protobuf cannot hold"
    try:
        model = onnx.load_model(file, load_external_data=False)
    except (DecodeError, ValueError, OSError) as problem:
        return f"{problem}".splitlines()[0].rstrip(".:") or type(problem).__name__
    if not model.HasField("graph"):
        return "it holds no graph"
    initializers = frozenset(item.name for item in model.graph.initializer)
    return Graph(
        tuple(_tensor(item) for item in model.graph.input if item.name not in initializers),
        tuple(_tensor(item) for item in model.graph.output),
        initializers,
        tuple(_problems(model, file, refusal, trusted=trusted, own_operators=own_operators)),
    )


def _problems(
    model: Any, file: Path, refusal: Refusal | None, *, trusted: bool, own_operators: bool
) -> Iterator[FileProblem]:
    """What is wrong with the file, the first cause alone where ONNX Runtime refuses it."""
    causes = [*_weights(model, file), *_versions(model)]
    if not own_operators:
        causes += _unknown_operators(model)
    if refusal is not None:
        yield from causes[:1] or [_refused(refusal)]
        return
    yield from causes
    if not causes and not trusted and not own_operators:
        yield from _structure(model)


def _refused(refusal: Refusal) -> FileProblem:
    if refusal.lacks_kernel:
        return FileProblem(
            f"has an operator that {_reader()} cannot run on this machine's CPU: {refusal.reason}",
            "serve it where there is a GPU that can, or export it with other operators or types",
            certain=False,
        )
    return FileProblem(f"is not loaded by {_reader()}: {refusal.reason}", _AGAIN)


def _unexplained(refusal: Refusal) -> Graph:
    return Graph((), (), problems=(_refused(refusal),))


def _weights(model: Any, file: Path) -> Iterator[FileProblem]:
    """Weights in other files that are missing, too short, or outside the directory."""
    from trimaran.model_files.onnx_external import externals

    try:
        externals(model, file)
    except ArtifactError as problem:
        found, _, remedy = str(problem).removeprefix(f"{file}: ").rpartition("; ")
        yield FileProblem(f"cannot be loaded: {found or remedy}", remedy if found else _AGAIN)


def _versions(model: Any) -> Iterator[FileProblem]:
    """An IR version or an opset that is newer than what the server reads."""
    most = _most(model.ir_version, ONNX_IR_READ, lambda version: _probe(version, "", 18))
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


_READ = {"": ONNX_OPSET_READ, "ai.onnx.ml": 5}
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
    """Operators that no ONNX Runtime has, where one is installed that tells which it has."""
    known = registry()
    if known is None:
        return  # The checker of the package onnx tells those of its own domains.
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

    Shapes that a file declares and that contradict what is inferred are no refusal: ONNX Runtime
    merges them.
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
        yield FileProblem(f"is no sound ONNX model: {said}", _AGAIN)


def _without_weights(model: Any) -> Any:
    """A copy whose large initializers are inputs, and which declares nothing of what is inside."""
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


def _tensor(item: Any) -> GraphTensor:
    from trimaran import dtypes

    kind = item.type.WhichOneof("value")
    if kind in _KINDS:
        return GraphTensor(item.name, "", None, _KINDS[kind])
    tensor = item.type.tensor_type
    try:
        dtype = dtypes.by_onnx(tensor.elem_type).triton
    except KeyError:
        dtype = ""
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim
        )
    return GraphTensor(item.name, dtype, shape)


_KINDS = {
    "sequence_type": "sequence",
    "map_type": "map",
    "optional_type": "optional",
    "sparse_tensor_type": "sparse tensor",
}
