"""What a TorchScript module's code shows without a run: training, randomness, devices, results."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch

__all__ = ["devices", "mixing", "random_operators", "trained", "unservable_result"]

_DROPOUTS = {
    "aten::dropout": 2, "aten::dropout_": 2, "aten::feature_dropout": 2,
    "aten::feature_dropout_": 2, "aten::alpha_dropout": 2, "aten::alpha_dropout_": 2,
    "aten::feature_alpha_dropout": 2, "aten::feature_alpha_dropout_": 2,
    "aten::native_dropout": 2, "aten::rrelu": 3, "aten::rrelu_": 3,
}  # fmt: skip
"""Operators that draw numbers in training, and which of their arguments switches it."""
_MIXING = {
    "aten::_nested_tensor_from_mask": "nn.TransformerEncoder goes by the padding of all rows "
    "(build it with enable_nested_tensor=False)",
    "aten::quantize_per_tensor_dynamic": "quantising takes one range over all rows",
    "quantized::linear_dynamic": "linear_dynamic takes one range over all rows",
}
"""Operators that look at all rows of a batch at once, and what they do."""
_RECURRENT = {"aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"}
_ATTENTION, _ATTENTION_DROPOUT = "aten::scaled_dot_product_attention", 4
_NORMS, _NORM_MEAN, _NORM_TRAINING = {"aten::batch_norm", "aten::instance_norm"}, 3, 5


def trained(module: Any) -> list[str]:
    """Operators in training mode: `dropout`, or `batch_norm` on the batch's own values.

    Flags are followed from a module's `training` to the operators that take them, so what a module
    in training mode does not use is not reported.
    """
    graph = module.inlined_graph
    (owner, *_) = graph.inputs()
    found = []
    for node in _live(graph, owner, module):
        kind, inputs = node.kind(), list(node.inputs())
        if kind in _DROPOUTS:
            is_on = _value(inputs[_DROPOUTS[kind]], owner, module) is True
            amount = _value(inputs[1], owner, module)
            if is_on and (amount != 0 or "rrelu" in kind):
                found.append(kind)
        elif kind in _NORMS:
            # Without running values it takes the batch's own in evaluation too, by its author's
            # wish.
            has_running = inputs[_NORM_MEAN].type().kind() != "NoneType"
            if has_running and _value(inputs[_NORM_TRAINING], owner, module) is True:
                found.append(kind)
        elif kind == _ATTENTION:
            found += [kind] if _value(inputs[_ATTENTION_DROPOUT], owner, module) else []
        elif kind in _RECURRENT:
            found += [kind] if _drops(node, owner, module) else []
    return sorted({kind.removeprefix("aten::").rstrip("_") for kind in found})


def mixing(module: Any) -> list[str]:
    """How operators of a module combine the rows of a batch, in words."""
    kinds = {node.kind() for node in _nodes(module.inlined_graph)}
    return [effect for kind, effect in _MIXING.items() if kind in kinds]


def random_operators(module: Any) -> list[str]:
    """The operators of a module that draw numbers, but for those that do so in training alone."""
    kinds = {node.kind() for node in _nodes(module.inlined_graph)}
    return sorted(
        kind.removeprefix("aten::")
        for kind in kinds
        if kind.startswith("aten::")
        and kind not in {*_DROPOUTS, *_RECURRENT, _ATTENTION}
        and _draws(kind)
    )


def devices(module: Any) -> list[str]:
    """Devices other than the CPU that a module's code names, such as `cuda:0`."""
    named = set()
    for node in _nodes(module.inlined_graph):
        if node.kind() == "prim::Constant" and node.output().type().kind() == "DeviceObjType":
            named.add(str(node.output().toIValue()))
        if node.kind() == "aten::cuda":
            named.add("cuda")
    return sorted(name for name in named if name.partition(":")[0] not in ("cpu", "meta"))


def unservable_result(module: Any) -> str | None:
    """Which type `forward` says to return that Triton's backend refuses; `None` for none."""
    (result,) = module.forward.schema.returns
    return None if _is_served(result.type, at_top=True) else str(result.type)


def _is_served(kind: Any, *, at_top: bool) -> bool:
    name = kind.kind()
    if name == "TupleType" and at_top:
        return all(_is_served(item, at_top=False) for item in kind.elements())
    if name == "OptionalType":
        return _is_served(kind.getElementType(), at_top=at_top)
    return name in ("TensorType", "AnyType", "UnionType") or str(kind) == "List[str]"


def _draws(kind: str) -> bool:
    packet = getattr(torch.ops.aten, kind.removeprefix("aten::"), None)
    if packet is None:
        return False
    overloads = (getattr(packet, name) for name in packet.overloads())
    return any(torch.Tag.nondeterministic_seeded in overload.tags for overload in overloads)


def _drops(node: Any, owner: Any, module: Any) -> bool:
    """Whether a recurrent layer has dropout, a float, and is in training, the next argument."""
    inputs = list(node.inputs())
    for amount, training in pairwise(inputs):
        if amount.type().kind() == "FloatType":
            share = _value(amount, owner, module)
            return share != 0 and _value(training, owner, module) is True
    return False


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _live(block: Any, owner: Any, module: Any) -> Iterator[Any]:
    """The nodes of a graph but for the branches that the module's own flags rule out."""
    for node in block.nodes():
        yield node
        blocks = list(node.blocks())
        if node.kind() == "prim::If":
            (condition,) = node.inputs()
            taken = _value(condition, owner, module)
            blocks = blocks if taken is None else [blocks[0] if taken else blocks[1]]
        for inner in blocks:
            yield from _live(inner, owner, module)


def _value(value: Any, owner: Any, module: Any) -> Any:
    """A value that is known before the run: a constant, an attribute, or what follows from them."""
    node = value.node()
    kind = node.kind()
    if kind == "prim::Constant":
        return value.toIValue()
    if kind == "prim::GetAttr":
        return _attribute(value, owner, module)
    if kind == "aten::__not__":
        known = _value(next(iter(node.inputs())), owner, module)
        return None if known is None else not known
    if kind == "prim::If":
        taken = _value(next(iter(node.inputs())), owner, module)
        if taken is None:
            return None
        place = [output.debugName() for output in node.outputs()].index(value.debugName())
        first, second = node.blocks()
        return _value(list((first if taken else second).outputs())[place], owner, module)
    return None


def _attribute(value: Any, owner: Any, module: Any) -> Any:
    """An attribute of the module, or of one within it; `None` where the way there is not plain."""
    names = []
    while value.debugName() != owner.debugName():
        node = value.node()
        if node.kind() != "prim::GetAttr":
            return None
        names.append(node.s("name"))
        value = next(iter(node.inputs()))
    found = module
    for name in reversed(names):
        found = getattr(found, name, None)
    return found if isinstance(found, (bool, int, float)) else None
