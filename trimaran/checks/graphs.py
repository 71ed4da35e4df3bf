"""Rules for an ONNX file and its configuration, as the ONNX Runtime backend applies them."""

from __future__ import annotations

from collections.abc import Sequence

from trimaran.checks.facts import Graph, GraphTensor
from trimaran.checks.finding import Problems, error, warning
from trimaran.checks.onnx_feeds import check_feeds, feed_names
from trimaran.repository import dtypes
from trimaran.repository.config import ModelConfig
from trimaran.repository.dtypes import describe_shape
from trimaran.repository.protocol import protocol

__all__ = ["check_graph", "completed"]

_KIND_REMEDIES = {
    "sequence": "export it without ZipMap, such as with skl2onnx's options={'zipmap': False}",
    "map": "export it without ZipMap, such as with skl2onnx's options={'zipmap': False}",
}
_COMPLETED_BATCH = 4
"""What Triton's ONNX Runtime backend takes for a limit where none is given."""


def completed(config: ModelConfig, graph: Graph) -> ModelConfig:
    """A configuration with the tensors and the limit that Triton takes from the file.

    It takes either where inputs or outputs are left out, and then the limit too.
    """
    whole = ModelConfig()
    whole.CopyFrom(config)
    tensors = (*graph.inputs, *graph.outputs)
    if not _is_completed(config) or any(tensor.shape is None for tensor in tensors):
        return whole
    if not config.max_batch_size and all((tensor.shape or ())[:1] == (-1,) for tensor in tensors):
        whole.max_batch_size = _COMPLETED_BATCH
    names = {dtype.triton: dtype.config for dtype in dtypes.DTYPES}
    for field, given, is_given in (
        (whole.input, graph.inputs, config.input or config.batch_input),
        (whole.output, graph.outputs, config.output),
    ):
        for tensor in () if is_given else given:
            shape = tensor.shape or ()
            dims = shape[1:] if whole.max_batch_size else shape
            field.add(
                name=tensor.name,
                data_type=names.get(tensor.dtype, "TYPE_INVALID"),
                dims=dims or (1,),
            )
    return whole


def _is_completed(config: ModelConfig) -> bool:
    return not ((config.input or config.batch_input) and config.output)


def check_graph(config: ModelConfig, graph: Graph, where: str) -> Problems:
    """Names, types and shapes that the file contradicts; `where` names it.

    An axis that the file leaves open may be fixed for an input, and not for an output.
    """
    others = list(_unserved_types(config, graph, where))
    if others:
        yield from others
        return
    if config.input or config.batch_input:
        yield from _names(config, graph, where)
    else:
        yield from _twice(config, graph, where)
    yield from check_feeds(config, graph, where)
    limit = completed(config, graph).max_batch_size
    for kind, items, known in (
        ("input", config.input, graph.inputs),
        ("output", config.output, graph.outputs),
    ):
        by_name = {tensor.name: tensor for tensor in known}
        for item in items:
            if item.name in by_name:
                yield from _tensor(config, limit, kind, item, by_name[item.name], where)
    if limit > 0:
        yield from _batch_axis(config, graph, where)


def _unserved_types(config: ModelConfig, graph: Graph, where: str) -> Problems:
    """What the backend cannot carry; an output that is not configured may be any tensor."""
    outputs = {item.name for item in config.output} or {item.name for item in graph.outputs}
    for kind, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in tensors:
            used = kind == "input" or tensor.name in outputs
            if tensor.kind == "tensor" and used and tensor.dtype in ("", "BF16"):
                yield error(
                    f"{kind}.{tensor.name}",
                    f"{kind} {tensor.name!r} of {where} has a type that Triton's onnxruntime "
                    "backend does not serve",
                    "cast it inside the model, to FP32 for instance",
                    where,
                )
            elif tensor.kind != "tensor":
                yield error(
                    f"{kind}.{tensor.name}",
                    f"{kind} {tensor.name!r} of {where} is a {tensor.kind}, and Triton serves "
                    "tensors alone",
                    _KIND_REMEDIES.get(tensor.kind, "export the model without it"),
                    where,
                )


def _names(config: ModelConfig, graph: Graph, where: str) -> Problems:
    inputs, outputs = [t.name for t in graph.inputs], [t.name for t in graph.outputs]
    for item in config.input:
        if item.optional and config.max_batch_size > 0:
            yield error(
                f"input.{item.name}.optional",
                f"input {item.name!r} is optional, which ONNX models with batches cannot have",
                "remove optional, or set max_batch_size to 0",
            )
        if item.name not in inputs and not (item.optional and item.name in graph.initializers):
            yield error(
                f"input.{item.name}",
                f"input {item.name!r} is not in {where}, which has {', '.join(inputs)}",
                "name it as the file does",
            )
    required = {item.name for item in config.input if not item.optional} | feed_names(config)
    for name in inputs:
        if name not in required:
            yield error(
                f"input.{name}",
                f"{where} needs input {name!r}, which the configuration does not have",
                "add it",
            )
    for output in config.output:
        if output.name not in outputs:
            yield error(
                f"output.{output.name}",
                f"output {output.name!r} is not in {where}, which has {', '.join(outputs)}",
                "name it as the file does",
            )


def _twice(config: ModelConfig, graph: Graph, where: str) -> Problems:
    """Inputs that Triton takes from the file, and from what it feeds by itself once more."""
    fed = sorted(feed_names(config) & {tensor.name for tensor in graph.inputs})
    if fed:
        yield error(
            "input",
            f"there is no input, so Triton takes all of {where}, and {fed[0]!r} twice, since the "
            "server feeds it",
            "declare the inputs that requests have",
        )


def _tensor(
    config: ModelConfig,
    limit: int,
    kind: str,
    item: protocol.ModelInput | protocol.ModelOutput,
    tensor: GraphTensor,
    where: str,
) -> Problems:
    """A declared tensor compared with the file's; `limit` is the batch limit after completion."""
    field = f"{kind}.{item.name}"
    names = {dtype.config: dtype.triton for dtype in dtypes.DTYPES}
    given = names.get(protocol.DataType.Name(item.data_type), "nothing")
    if tensor.dtype and given != tensor.dtype and item.data_type != protocol.TYPE_INVALID:
        yield error(
            f"{field}.data_type",
            f"{kind} {item.name!r} is {given} but {tensor.dtype} in {where}",
            "make them equal",
        )
    shape, dims = tensor.shape, item.reshape.shape if item.HasField("reshape") else item.dims
    if isinstance(item, protocol.ModelInput) and item.allow_ragged_batch:
        yield from _ragged(field, item.name, shape, where)
        return
    is_split = kind == "output" and item.name in _split_outputs(config)
    if shape is None or not item.dims or is_split or (limit > 0 and shape[:1] != (-1,)):
        return
    if not shape and all(dim == 1 for dim in dims):
        return
    expected = shape[1:] if limit > 0 else shape
    if not _fits(expected, dims, exact=kind == "output"):
        batch = ", without the batch axis" if limit > 0 else ""
        remedy = "make them equal"
        if limit != config.max_batch_size:
            batch += ", which Triton adds where inputs or outputs are left out"
            remedy = "declare all inputs and outputs, or leave that axis out"
        yield error(
            f"{field}.dims",
            f"{kind} {item.name!r} is {describe_shape(dims)} but {describe_shape(expected)} in "
            f"{where}{batch}",
            remedy,
        )


def _split_outputs(config: ModelConfig) -> set[str]:
    """Outputs that the server cuts up, whose shape is not the file's."""
    return {name for made in config.batch_output for name in made.target_name}


def _ragged(field: str, name: str, shape: tuple[int, ...] | None, where: str) -> Problems:
    if shape not in (None, (-1,)):
        yield error(
            f"{field}.allow_ragged_batch",
            f"input {name!r} is ragged but {describe_shape(shape or ())} in {where}",
            "export it with one axis of any length, or remove allow_ragged_batch",
        )


def _fits(model: Sequence[int], dims: Sequence[int], *, exact: bool) -> bool:
    return len(model) == len(dims) and all(
        have == want or (have == -1 and not exact) for have, want in zip(model, dims, strict=True)
    )


def _batch_axis(config: ModelConfig, graph: Graph, where: str) -> Problems:
    """The first tensor without the axis: of all where Triton completes, else of those declared."""
    declared = {item.name for item in config.input if not item.allow_ragged_batch}
    declared |= {item.name for item in config.output} - _split_outputs(config)
    everything = _is_completed(config)
    for tensor in (*graph.inputs, *graph.outputs):
        if not everything and tensor.name not in declared:
            continue
        if tensor.shape is not None and tensor.shape[:1] != (-1,):
            yield error(
                "max_batch_size",
                f"{where} has {tensor.name!r} of the fixed shape {describe_shape(tensor.shape)}, "
                "which takes no batches",
                "export it with an open first axis, or set max_batch_size to 0",
            )
            return
        if tensor.shape is None:
            yield warning(
                "max_batch_size",
                f"{where} does not say the shape of {tensor.name!r}",
                "run ONNX's shape inference on it",
            )
