"""Shapes: how they are written, and when two can be the same."""

from __future__ import annotations

import pytest

from tests.trimaran.versions import tensor
from trimaran.repository import dtypes
from trimaran.repository.dtypes import TensorSpec, describe_shape, shapes_agree


@pytest.mark.parametrize(
    ("left", "right", "agree"),
    [
        ((), (), True),
        ((3, 224, 224), (3, 224, 224), True),
        ((3, 224, 224), (3, 224, 225), False),
        ((-1,), (7,), True),
        ((7,), (-1,), True),
        ((-1, 3), (-1, 4), False),
        ((1, 3), (3,), False),
        ((-1,), (), False),
    ],
)
def test_shapes_agree(left: tuple[int, ...], right: tuple[int, ...], agree: bool) -> None:
    assert shapes_agree(left, right) is agree
    assert shapes_agree(right, left) is agree


def test_shapes_are_written_as_people_write_them() -> None:
    assert describe_shape([3, -1]) == "[3, -1]"
    assert describe_shape([]) == "[]"
    assert str(tensor("IMAGE", "UINT8", 3, 224)) == "IMAGE UINT8 [3, 224]"


def test_a_model_sees_the_reshape() -> None:
    fp32 = dtypes.by_triton("FP32")
    assert TensorSpec("x", fp32, (1,), ()).model_dims == ()
    assert TensorSpec("x", fp32, (1, 4), (4,)).model_dims == (4,)
    assert TensorSpec("x", fp32, (4,)).model_dims == (4,)
