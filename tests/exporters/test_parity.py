"""The parity gate: what counts as equal, and how a difference is reported."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from exporters.parity import Arrays, compare, failure, measure_parity
from exporters.tolerance import (
    DEFAULT_TOLERANCES,
    column_shares,
    finite_share,
    row_limits,
    scale_of,
    tolerance_for,
    typical_scale,
)
from tests.trimaran.versions import tensor
from trimaran.repository.dtypes import DTYPES, by_triton

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


def test_integers_that_are_equal_in_float64_differ() -> None:
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


def test_a_tolerance_is_the_models_own_or_that_of_its_type_at_its_scale() -> None:
    fp32, int64 = by_triton("FP32"), by_triton("INT64")
    rtol, share = DEFAULT_TOLERANCES["FP32"]
    assert tolerance_for(fp32, 5.0) == (rtol, 5 * share)
    assert tolerance_for(fp32, 5.0, (0.5, 0.25)) == (0.5, 0.25)
    assert tolerance_for(int64, 5.0) == (0.0, 0.0)
    tolerances = [DEFAULT_TOLERANCES[name] for name in ("FP64", "FP32", "FP16")]
    assert tolerances == sorted(tolerances)


def test_a_scale_is_the_root_mean_square_of_what_is_finite() -> None:
    assert scale_of([np.array([3.0, np.nan]), np.array([[-4.0], [np.inf]])]) == 12.5**0.5
    assert scale_of([np.array([np.nan]), np.array([7])]) == 0.0
    assert typical_scale([np.array([[1.0], [2.0]]), np.array([[np.nan], [0.0], [40.0]])]) == 2.0
    assert typical_scale([np.zeros((2, 3))]) == 0.0


def test_what_fills_a_masked_place_is_no_scale() -> None:
    masked = np.array([[1.0, -2.0, 2.0, -1e9], [-3.4e38, 1.0, 1.0, 1.0]])
    assert scale_of([masked]) == pytest.approx((12 / 6) ** 0.5)
    assert typical_scale([masked]) == pytest.approx((3**0.5 + 1) / 2)
    assert scale_of([np.array([1e5, 3e5])]) == pytest.approx(5e10**0.5)
    assert scale_of([np.array([1e-9, 1.0])]) == pytest.approx(0.5**0.5)


def test_a_loud_row_may_be_off_by_more_and_a_quiet_one_by_what_a_typical_one_may() -> None:
    rows = np.array([[100.0, 100.0], [2.0, 2.0], [0.0, 0.0]], dtype=np.float32)
    rtol, atol = row_limits(by_triton("FP32"), rows, 2.0, None)
    share = DEFAULT_TOLERANCES["FP32"][1]
    np.testing.assert_allclose(atol, [[100 * share], [2 * share], [2 * share]])
    assert not compare(rows, rows + np.float32(1e-3), rtol, atol).passed
    assert compare(rows[:1], rows[:1] + np.float32(1e-3), rtol, atol[:1]).passed


def test_a_small_column_next_to_a_large_one_is_compared_by_its_own_size() -> None:
    rows = np.array([[5000.0, 1.0], [4000.0, 0.5]], dtype=np.float32)
    off = rows + np.array([[0.0, 0.1], [0.0, 0.0]], dtype=np.float32)
    typical = typical_scale([rows])
    assert compare(rows, off, *row_limits(by_triton("FP32"), rows, typical, None)).passed
    limits = row_limits(by_triton("FP32"), rows, typical, None, column_shares([rows]))
    assert not compare(rows, off, *limits).passed


@pytest.mark.parametrize(
    ("array", "share"),
    [
        (np.array([1.0, np.nan, np.inf, -np.inf]), 0.25),
        (np.array([1, 2]), 1.0),
        (np.array([], np.float32), 1.0),
    ],
)
def test_the_share_of_an_output_that_is_finite(array: np.ndarray, share: float) -> None:
    assert finite_share(array) == share


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
        (numbers_rows, ["y"], "output 'y': row 2 depends on the rows next to it"),
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
        assert (row.rtol, row.atol) == tolerance_for(by_triton("FP64"), row.scale)
        assert (row.used > 1) is not row.passed
        assert (row.problem == "") is row.passed
        assert row.record()["batch_sizes"] == [1, 3, 5]


def test_a_models_own_tolerance_decides() -> None:
    expected = [module(batch) for batch in BATCHES]
    assert measure_parity(
        OUTPUTS, {"total": (0.0, 7.0)}, BATCHES, expected, off_in_the_largest
    ).passed


def test_a_failure_of_torchscript_is_recognised_by_its_last_line() -> None:
    message = (
        "Something failed.\nTraceback of TorchScript (most recent call last):\n  x.py(3)\nE: why"
    )
    assert failure(RuntimeError(message)) == "E: why"
    assert failure(RuntimeError("two\n lines")) == "two lines"


def test_a_difference_names_the_batch_and_nan_is_reported_and_refuses_nothing() -> None:
    expected = [module(batch) for batch in BATCHES]
    labels = ["one", "the examples", "n = 5"]
    report = measure_parity(OUTPUTS, {}, BATCHES, expected, off_in_the_largest, labels=labels)
    assert report.problem.endswith("apart), on n = 5")
    batch = {"x": np.array([[1.0, np.nan]])}
    with_nan = batch, module(batch)

    def swallows(batch: Arrays) -> Arrays:
        return module({"x": np.nan_to_num(batch["x"])})

    report = measure_parity(OUTPUTS, {}, BATCHES, expected, swallows, with_nan=with_nan)
    assert report.passed
    assert [note.partition(" is another")[0] for note in report.notes] == [
        "with NaN in its inputs, output 'y'",
        "with NaN in its inputs, output 'total'",
    ]
    assert not measure_parity(OUTPUTS, {}, BATCHES, expected, module, with_nan=with_nan).notes
