"""An ONNX file as the rules need it: its interface, and why a server would not load it.

ONNX Runtime decides where it is installed; the package `onnx` explains its refusals, and decides
by itself where it is not, or where a file is too large to be loaded for a check.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trimaran.checks.facts import Graph, GraphTensor
from trimaran.checks.onnx_problems import onnx_problems, refused
from trimaran.checks.onnx_runtime import Refusal, load_graph
from trimaran.checks.recognised_files import onnx_impostor

__all__ = ["can_read_graphs", "read_onnx"]

_LARGEST_GRAPH_BYTES = 2**31 - 1
_LARGEST_LOADED_BYTES = 2**29
"""A file and its weights up to this size are loaded by a check, which takes about a second."""


def can_read_graphs() -> bool:
    """Whether the package `onnx` is installed."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        return False
    return True


def read_onnx(
    path: Path, *, level: int = 0, trusted: bool = False, own_operators: bool = False
) -> Graph | str | None:
    """What an ONNX file, or a directory that holds `model.onnx`, takes and gives.

    `level` is how the configuration lets it be optimised. A `trusted` file is unchanged since it
    was published, when its loading was tried. One with `own_operators` needs a library that is not
    loaded here. A text says why the file cannot be read at all, and `None` that nothing here can
    read it.
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
        return Graph((), (), problems=(refused(refusal),)) if refusal else None
    return _parsed(file, refusal, trusted=trusted, own_operators=own_operators)


def _named(file: Path) -> Graph | None:
    """Another kind of file, where it has a mark."""
    impostor = onnx_impostor(file)
    return Graph((), (), problems=(impostor,)) if impostor else None


def _loaded_bytes(file: Path) -> int:
    """The size of a file with all others in its folder, which may be its weights."""
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
        said = f"{problem}".splitlines()[0].rstrip(".:") or type(problem).__name__
        return _named(file) or said
    if not model.HasField("graph"):
        return _named(file) or "it holds no graph"
    initializers = frozenset(item.name for item in model.graph.initializer)
    return Graph(
        tuple(_tensor(item) for item in model.graph.input if item.name not in initializers),
        tuple(_tensor(item) for item in model.graph.output),
        initializers,
        tuple(onnx_problems(model, file, refusal, trusted=trusted, own_operators=own_operators)),
    )


def _tensor(item: Any) -> GraphTensor:
    from trimaran.repository import dtypes

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
