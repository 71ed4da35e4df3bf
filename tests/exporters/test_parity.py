"""The parity gate: what counts as equal, and how a difference is told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from exporters.parity import (
    DEFAULT_TOLERANCES,
    Arrays,
    batch_sizes,
    compare,
    failure,
    measure_parity,
    tolerance_for,
)
from tests.trimaran.versions import tensor
from trimaran.dtypes import DTYPES

SERVED = [d.numpy for d in DTYPES if d.numpy is not None and d.triton != "BYTES"]
ARRAYS = st.sampled_from(SERVED).flatmap(
    lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_side=0, max_side=4))
)


@given(ARRAYS)
def test_an_array_equals_itself_with_no_tolerance(array: np.ndarray) -> None:
    found = compare(array, array.copy(), 0.0, 0.0)
    assert (found.passed, found.largest_error, found.problem) == (True, 0.0, "")


@given(ARRAYS.filter(lambda array: array.size and array.dtype.kind in "iub"), st.data())
def test_integers_and_booleans_must_be_equal(array: np.ndarray, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, array.size - 1))
    changed = array.copy()
    flat = changed.reshape(-1)
    flat[index] = not flat[index] if array.dtype == bool else flat[index] ^ 1
    found = compare(array, changed, 0.0, 0.0)
    assert not found.passed
    assert found.largest_error > 0
    place = ", ".join(str(i) for i in np.unravel_index(index, array.shape))
    assert f"element [{place}] is {flat[index]}" in found.problem


@pytest.mark.parametrize(
    ("expected", "actual", "rtol", "atol", "passed"),
    [
        (1.0, 1.1, 0.0, 0.11, True),
        (1.0, 1.1, 0.0, 0.09, False),
        (100.0, 110.0, 0.11, 0.0, True),
        (100.0, 110.0, 0.09, 0.0, False),
        (-100.0, -110.0, 0.11, 0.0, True),
        (100.0, 110.0, 0.09, 1.1, True),
        (np.nan, np.nan, 0.0, 0.0, True),
        (np.nan, 1.0, 1.0, 1e300, False),
        (1.0, np.nan, 1.0, 1e300, False),
        (np.inf, np.inf, 0.0, 0.0, True),
        (np.inf, -np.inf, 1.0, 1e300, False),
        (np.inf, 1.0, 1.0, 1e300, False),
        (1.0, np.inf, 1.0, 1e300, False),
        (0.0, -0.0, 0.0, 0.0, True),
        (0.0, 5e-324, 0.0, 0.0, False),
    ],
)
def test_a_value_may_differ_by_its_tolerance(
    expected: float, actual: float, rtol: float, atol: float, passed: bool
) -> None:
    assert compare(np.array([expected]), np.array([actual]), rtol, atol).passed is passed


def test_integers_that_float64_cannot_tell_apart_differ() -> None:
    expected, actual = np.array([2**53, 2**53]), np.array([2**53, 2**53 + 1])
    found = compare(expected, actual, 0.0, 0.0)
    assert not found.passed
    assert "element [1] is 9007199254740993, PyTorch gives 9007199254740992" in found.problem


def test_the_worst_element_is_the_one_furthest_over_its_bound() -> None:
    expected = np.array([[1000.0, 1.0], [1.0, 1.0]], dtype=np.float32)
    actual = np.array([[1000.9, 1.0], [1.5, 1.01]], dtype=np.float32)
    found = compare(expected, actual, 1e-3, 0.0)
    assert found.problem == "element [1, 0] is 1.5, PyTorch gives 1.0 (allowed: 0.001 apart)"
    assert found.largest_error == pytest.approx(0.9, rel=1e-4)


def test_dtype_and_shape_are_compared_first() -> None:
    one = np.zeros((2, 3), np.float32)
    assert compare(one, one.astype(np.float64), 1, 1).problem == (
        "is float64, PyTorch gives float32"
    )
    assert compare(one, one[:, :2], 1, 1).problem == "has shape [2, 2], PyTorch gives [2, 3]"


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (2, (1, 2)), (3, (1, 3)), (32, (1, 3, 32))])
def test_batches_of_one_an_odd_number_and_the_most(most: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(most) == sizes


def test_a_tolerance_is_the_models_own_or_that_of_its_type() -> None:
    assert tolerance_for(tensor("y", "FP32"), None) == DEFAULT_TOLERANCES["FP32"]
    assert tolerance_for(tensor("y", "FP32"), (0.0, 0.0)) == (0.0, 0.0)
    for dtype in ("INT64", "BOOL", "UINT8"):
        assert tolerance_for(tensor("y", dtype), None) == (0.0, 0.0)
    tolerances = [DEFAULT_TOLERANCES[name] for name in ("FP64", "FP32", "FP16")]
    assert tolerances == sorted(tolerances)


OUTPUTS = [tensor("y", "FP64", 2), tensor("total", "FP64", 1)]
BATCHES: list[Arrays] = [
    {"x": np.arange(rows * 2, dtype=np.float64).reshape(rows, 2)} for rows in (1, 3, 5)
]


def module(batch: Arrays) -> Arrays:
    return {"y": batch["x"] * 2, "total": batch["x"].sum(1, keepdims=True)}


def off_in_the_largest(batch: Arrays) -> Arrays:
    answer = dict(module(batch))
    if len(batch["x"]) == 5:
        answer["total"] = answer["total"] + np.array([[0.0], [0.0], [7.0], [0.0], [0.0]])
    return answer


def fixed_batch(batch: Arrays) -> Arrays:
    if len(batch["x"]) != 3:
        raise ValueError("Got invalid dimensions:\n  got 1, expected 3")
    return module(batch)


def numbers_rows(batch: Arrays) -> Arrays:
    answer = dict(module(batch))
    if (batch["x"] == BATCHES[2]["x"][2:3]).all():  # the middle row, asked for alone
        answer["y"] = answer["y"] + 1
    return answer


@pytest.mark.parametrize(
    ("artifact", "failed", "said"),
    [
        (module, [], ""),
        (off_in_the_largest, ["total"], "output 'total': element [2, 0] is 16.0, PyTorch gives 9"),
        (
            fixed_batch,
            ["y", "total"],
            "output 'y': fails on 1 rows: Got invalid dimensions: got 1, expected 3",
        ),
        (numbers_rows, ["y"], "output 'y': row 2 depends on the rows beside it"),
    ],
)
def test_an_artifact_is_held_against_the_module(
    artifact: Callable[[Arrays], Arrays], failed: list[str], said: str
) -> None:
    expected = [module(batch) for batch in BATCHES]
    report = measure_parity(OUTPUTS, {}, BATCHES, expected, artifact)
    assert report.passed is not bool(failed)
    assert [row.output for row in report.outputs if not row.passed] == failed
    assert report.problem.startswith(said)
    assert [row.output for row in report.outputs] == ["y", "total"]
    for row in report.outputs:
        assert row.batch_sizes == (1, 3, 5)
        assert (row.rtol, row.atol) == DEFAULT_TOLERANCES["FP64"]
        assert (row.problem == "") is row.passed
        assert row.record()["batch_sizes"] == [1, 3, 5]


def test_a_models_own_tolerance_decides() -> None:
    expected = [module(batch) for batch in BATCHES]
    assert measure_parity(
        OUTPUTS, {"total": (0.0, 7.0)}, BATCHES, expected, off_in_the_largest
    ).passed


def test_a_failure_of_torchscript_is_told_by_its_last_line() -> None:
    told = "Something failed.\nTraceback of TorchScript (most recent call last):\n  x.py(3)\nE: why"
    assert failure(RuntimeError(told)) == "E: why"
    assert failure(RuntimeError("two\n lines")) == "two lines"
