"""ZipMap at the end of a converted classifier, which turns its scores into Python dictionaries.

Converters of scikit-learn put it there by default, and no server carries a sequence of maps. Before
it the scores are a tensor, `[rows, classes]`, and that is what is served.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

__all__ = ["without_zipmaps"]


def without_zipmaps(model: onnx.ModelProto) -> dict[str, list[str]]:
    """Give the outputs that a ZipMap makes the scores before it, in place.

    Returns the classes by output, in the order of the columns; nothing where there is no ZipMap.
    """
    outputs = {value.name: value for value in model.graph.output}
    classes = {}
    for node in model.graph.node:
        if (node.op_type, node.domain) == ("ZipMap", "ai.onnx.ml") and node.output[0] in outputs:
            labels = _labels(node)
            value = outputs[node.output[0]]
            value.CopyFrom(_scores(model, value.name, len(labels)))
            node.CopyFrom(helper.make_node("Identity", node.input, node.output, node.name))
            classes[value.name] = labels
    return classes


def _labels(node: onnx.NodeProto) -> list[str]:
    for attribute in node.attribute:
        if attribute.name == "classlabels_int64s":
            return [str(label) for label in attribute.ints]
        if attribute.name == "classlabels_strings":
            return [label.decode(errors="replace") for label in attribute.strings]
    return []


def _scores(model: onnx.ModelProto, name: str, count: int) -> onnx.ValueInfoProto:
    """Scores of as many rows as the first input has; ZipMap takes float alone."""
    scores = helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, count or None])
    first = model.graph.input[0].type.tensor_type.shape.dim if model.graph.input else []
    if first:
        scores.type.tensor_type.shape.dim[0].CopyFrom(first[0])
    return scores
