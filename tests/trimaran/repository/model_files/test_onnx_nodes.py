"""What the target container reads of an ONNX model, whatever the runtime here reads."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from tests.exporters import model_files as files
from trimaran.repository import target
from trimaran.repository.model_files.onnx_model import find_too_new, nodes, opsets


def model(
    opset: int = 18,
    ir_version: int = 10,
    domains: tuple[tuple[str, int], ...] = (),
    operator: str = "Relu",
) -> onnx.ModelProto:
    made = files.unary(operator, ["N", 4], ["N", 4], opset=opset, ir_version=ir_version)
    made.opset_import.extend(helper.make_opsetid(*item) for item in domains)
    return made


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (model(21), None),
        (model(target.READ_OPSET, target.READ_IR_VERSION), None),
        (model(21, domains=(("", 21), ("ai.onnx.ml", target.READ_ML_OPSET))), None),
        (model(26), "has opset 26, and container 26.06 reads 25 at most"),
        (model(18, domains=(("ai.onnx", 26),)), "has opset 26"),
        (model(26, domains=(("", 18),)), "has opset 26"),
        (model(ir_version=14), "has IR version 14, and container 26.06 reads 13 at most"),
        (model(domains=(("ai.onnx.ml", 6),)), "has opset of ai.onnx.ml 6"),
        (model(21, operator="LpNormalization"), None),
        (model(22, operator="LpNormalization"), "lacks from opset 22 on"),
        (model(19, operator="DeformConv"), "the operator DeformConv, which container 26.06 lacks"),
    ],
)
def test_what_the_container_does_not_read_is_told(made: onnx.ModelProto, said: str | None) -> None:
    found = find_too_new(made)
    assert found is None if said is None else found is not None and said in found
    assert found is None or "; " in found


def test_functions_and_subgraphs_are_looked_into() -> None:
    inner = helper.make_graph(
        [helper.make_node("TensorScatter", ["a"], ["b"])],
        "inner",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
    )
    outer = model(24)
    outer.graph.node.append(
        helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner)
    )
    assert "TensorScatter" in (find_too_new(outer) or "")
    function = helper.make_function(
        "mine", "F", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])],
        [helper.make_opsetid("", 26)],
    )  # fmt: skip
    calling = model()
    calling.functions.append(function)
    assert opsets(calling)[""] == 26
    assert len(list(nodes(calling))) == 2
    assert "has opset 26" in (find_too_new(calling) or "")
