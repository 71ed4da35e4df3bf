"""What operators an ONNX model holds, at any depth, and what that says before it is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from trimaran.repository import target

__all__ = ["find_too_new", "nodes", "opsets"]

_ONNX_DOMAINS = ("", "ai.onnx")
"""Two names of one domain."""


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of the graph, of its subgraphs, and of the model's functions."""
    yield from _nodes(model.graph.node)
    for function in model.functions:
        yield from _nodes(function.node)


def _nodes(found: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in found:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g.node)
            for graph in attribute.graphs:
                yield from _nodes(graph.node)


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """The newest opset of each domain that a model or one of its functions imports.

    `ai.onnx` is told as the empty name, and some exporters import both.
    """
    newest: dict[str, int] = {}
    functions = (item for function in model.functions for item in function.opset_import)
    for item in (*model.opset_import, *functions):
        domain = "" if item.domain in _ONNX_DOMAINS else item.domain
        newest[domain] = max(newest.get(domain, 0), item.version)
    return newest


def find_too_new(model: onnx.ModelProto) -> str | None:
    """What in a model the target container does not read, and the remedy, or `None`."""
    asked = opsets(model)
    for what, found, most, remedy in (
        ("opset", asked.get("", 0), target.READ_OPSET,
         "export it with that, or use onnx.version_converter"),
        ("opset of ai.onnx.ml", asked.get("ai.onnx.ml", 0), target.READ_ML_OPSET,
         "export it with that"),
        ("IR version", model.ir_version, target.READ_IR_VERSION, "save it with that ir_version"),
    ):  # fmt: skip
        if found > most:
            told = f"has {what} {found}, and container {target.CONTAINER} reads {most} at most"
            return f"{told}; {remedy}"
    for node in nodes(model):
        since = target.ONNX_MISSING.get(node.op_type)
        if since and node.domain in _ONNX_DOMAINS and asked.get("", 0) >= since:
            return (
                f"has opset {asked['']} and the operator {node.op_type}, which container "
                f"{target.CONTAINER} lacks from opset {since} on; export it with an "
                "older opset, where that has it, or with other operators"
            )
    return None
