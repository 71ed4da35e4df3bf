"""How far integers may go is found by asking, exactly and without filling the memory."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.artifacts.asking import reaching
from exporters.artifacts.drawing import Drawing
from tests.exporters.artifacts.functions import Arrays, tensor


@pytest.mark.parametrize(
    ("rows", "dtype", "bound"),
    [(50, "INT64", 50), (2, "INT32", 2), (30522, "INT64", 30522), (256, "UINT8", 256),
     (100, "UINT8", 100), (2**21, "INT64", 2**20), (2**17, "INT16", 2**15)],
)  # fmt: skip
def test_an_index_reaches_to_the_end_of_its_table(rows: int, dtype: str, bound: int) -> None:
    table = np.zeros(rows, dtype=np.float32)

    def run(arrays: Arrays) -> Arrays:
        return {"y": table[arrays["ids"]] + arrays["mask"]}

    tensors = [tensor("ids", "N", 4, dtype=dtype), tensor("mask", "N", 4, dtype="BOOL")]
    found = reaching(run, Drawing(tensors, {"ids": (3, 4), "mask": (3, 4)}, {}))
    assert found.bounds == {"ids": bound}


def test_integers_are_bounded_one_after_another() -> None:
    def run(arrays: Arrays) -> Arrays:
        return {"y": np.zeros(50)[arrays["a"]] + np.zeros(7)[arrays["b"]]}

    tensors = [tensor("a", 4, dtype="INT64"), tensor("b", 4, dtype="INT64")]
    assert reaching(run, Drawing(tensors, {"a": (4,), "b": (4,)}, {})).bounds == {"a": 50, "b": 7}


def test_an_integer_that_is_a_size_does_not_fill_the_memory() -> None:
    largest = 0

    def run(arrays: Arrays) -> Arrays:
        nonlocal largest
        shape = tuple(int(size) for size in arrays["shape"])
        largest = max(largest, int(np.prod(shape)))
        return {"y": np.broadcast_to(np.zeros(1), shape)}

    tensors = [tensor("shape", 3, dtype="INT64")]
    (bound,) = reaching(run, Drawing(tensors, {"shape": (3,)}, {})).bounds.values()
    assert 4 < bound < 2**14
    assert largest < 2**34
