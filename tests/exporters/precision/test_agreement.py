"""The gate for lower precision, as pure functions on arrays."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.parity import Arrays, Run
from exporters.precision.agreement import (
    REQUIRED,
    AgreementReport,
    Answered,
    agreeing,
    measure_agreement,
    rule_for,
)
from exporters.precision.precision import PRECISIONS
from trimaran.repository import dtypes
from trimaran.repository.dtypes import TensorSpec

NAN = float("nan")
INT8 = PRECISIONS["int8"]


def output(triton: str = "FP32", *dims: int) -> TensorSpec:
    return TensorSpec("y", dtypes.by_triton(triton), dims)


@pytest.mark.parametrize(
    ("triton", "dims", "rule"),
    [
        ("FP32", (10,), "top-1"),
        ("FP16", (2,), "top-1"),
        ("FP32", (-1, 50), "top-1"),
        ("FP32", (5, -1), "top-1"),
        ("FP32", (1,), "tolerance"),
        ("FP32", (), "tolerance"),
        ("BOOL", (1,), "equal"),
        ("INT64", (10,), "equal"),
    ],
)
def test_an_output_is_compared_by_what_it_is(triton: str, dims: tuple[int, ...], rule: str) -> None:
    assert rule_for(output(triton, *dims)) == rule


@pytest.mark.parametrize(
    ("rule", "expected", "actual", "agreed"),
    [
        ("top-1", [[1.0, 2.0], [3.0, 1.0]], [[0.0, 9.0], [1.0, 2.0]], [True, False]),
        # a tie may be broken either way
        ("top-1", [[2.0, 2.0, 1.0]], [[1.0, 3.0, 0.0]], [True]),
        ("top-1", [[1.0, 2.0]], [[NAN, 3.0]], [False]),
        ("top-1", [[1.0, NAN]], [[1.0, NAN]], [True]),
        ("top-1", [[1.0, NAN]], [[1.0, 0.0]], [False]),
        ("top-1", [[NAN, NAN]], [[NAN, NAN]], [True]),
        ("top-1", [[NAN, NAN]], [[1.0, 0.0]], [False]),
        ("top-1", [[[1.0, 2.0], [2.0, 1.0]]], [[[1.0, 2.0], [1.0, 2.0]]], [True, False]),
        ("equal", [[1, 2], [3, 4]], [[1, 2], [3, 5]], [True, False]),
        ("equal", [True, False], [True, True], [True, False]),
        ("tolerance", [[1.0], [2.0]], [[1.05], [2.5]], [True, False]),
        ("tolerance", [[NAN], [NAN]], [[NAN], [1.0]], [True, False]),
    ],
)
def test_what_agrees(rule: str, expected: list, actual: list, agreed: list[bool]) -> None:
    found = agreeing(rule, np.asarray(expected), np.asarray(actual), (0.0, 0.1))
    assert found.tolist() == agreed


def answered(run: Run, rows: int, width: int = 4, batches: int = 1) -> Answered:
    generator = np.random.default_rng(rows)
    inputs = tuple(
        {"x": generator.normal(size=(rows, width)).astype(np.float32)} for _ in range(batches)
    )
    return Answered(inputs, tuple(run(batch) for batch in inputs))


def judge(
    fp32: Run, lower: Run, spec: TensorSpec, required: float = REQUIRED, **tolerances: tuple
) -> AgreementReport:
    sizes = Answered(
        *zip(*((b, fp32(b)) for n in (1, 3) for b in answered(fp32, n).batches), strict=True)
    )
    task = answered(fp32, 100, batches=3)
    return measure_agreement([spec], INT8, tolerances, sizes, task, lower, required)


def same(arrays: Arrays) -> Arrays:
    return {"y": arrays["x"] * np.float32(2)}


def test_what_rounds_a_little_passes() -> None:
    report = judge(same, lambda a: {"y": np.round(same(a)["y"], 3)}, output("FP32", 4))
    assert report.passed, report.problem
    (row,) = report.outputs
    assert (row.rule, row.rows, row.batch_sizes, row.required) == ("top-1", 300, (1, 3), 0.99)
    assert 0.99 <= row.agreement <= 1
    assert 0 < row.largest_error < 1e-3


def wrong_in_the_first_rows(arrays: Arrays) -> Arrays:
    """Turns the classes of the rows whose first value is below -1.2, about one in nine."""
    y = same(arrays)["y"].copy()
    wrong = arrays["x"][:, 0] < -1.2
    y[wrong] = -y[wrong]
    return {"y": y}


def test_other_decisions_are_refused_and_counted() -> None:
    report = judge(same, wrong_in_the_first_rows, output("FP32", 4))
    assert not report.passed
    (row,) = report.outputs
    share = f"{row.agreement:.1%}"
    assert report.problem == (
        f"output 'y': the highest class is FP32's in {share} of 300 rows, and 99 % are needed"
    )
    assert 0.8 < row.agreement < 0.95
    assert judge(same, wrong_in_the_first_rows, output("FP32", 4), required=0.8).passed


def test_rows_of_booleans_are_counted() -> None:
    def positive(arrays: Arrays) -> Arrays:
        return {"y": arrays["x"][:, :1] > 0}

    def later(arrays: Arrays) -> Arrays:
        return {"y": arrays["x"][:, :1] > 0.2}

    report = judge(positive, later, output("BOOL", 1))
    assert f"the answer is equal to FP32's in {report.outputs[0].agreement:.1%} of 300 rows" in (
        report.problem
    )
    assert judge(positive, positive, output("BOOL", 1)).passed


def test_answers_that_are_no_numbers_agree_with_nothing() -> None:
    def nothing(arrays: Arrays) -> Arrays:
        return {"y": arrays["x"] * np.float32(NAN)}

    report = judge(nothing, nothing, output("FP32", 4))
    assert not report.passed
    assert "is NaN or infinite in most places in FP32, which shows nothing" in report.problem


def test_other_numbers_have_a_tolerance_of_their_size() -> None:
    def large(arrays: Arrays) -> Arrays:
        return {"y": arrays["x"][:, :1] * np.float32(1e6)}

    def moved(by: float) -> Run:
        return lambda arrays: {"y": large(arrays)["y"] + np.float32(by)}

    assert judge(large, moved(5e4), output("FP32", 1)).passed
    report = judge(large, moved(5e6), output("FP32", 1))
    assert report.problem.startswith("output 'y': is up to 5e+06 from FP32 (allowed: ")
    assert report.problem.endswith("too far in 100.0% of 300 rows")
    strict = judge(large, moved(5e4), output("FP32", 1), y=(0.0, 1.0))
    assert "(allowed: 1 + 0·|x|)" in strict.problem


def test_rows_that_share_one_scale_are_refused() -> None:
    """Dynamic quantisation in one line: the batch's largest number sets the step."""

    def one_scale(arrays: Arrays) -> Arrays:
        step = np.abs(arrays["x"]).max() / 127
        return {"y": (np.round(arrays["x"] / step) * step * 2).astype(np.float32)}

    report = judge(same, one_scale, output("FP32", 4), required=0.5)
    assert not report.passed
    assert "output 'y': row 0 depends on the rows next to it: alone and next to larger" in (
        report.problem
    )
    assert "so requests may not be batched together" in report.problem


@pytest.mark.parametrize(
    ("lower", "said"),
    [
        (lambda a: {"y": same(a)["y"].astype(np.float16)}, "is float16, PyTorch gives float32"),
        (lambda a: {"y": same(a)["y"][:1]}, "has shape [1, 4], PyTorch gives [3, 4]"),
        (lambda a: {"y": np.log(-np.abs(same(a)["y"]))}, "the highest class is FP32's in 0.0%"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_broken_is_refused(lower: Run, said: str) -> None:
    report = judge(same, lower, output("FP32", 4))
    assert not report.passed
    assert said in report.problem


def test_a_runtime_that_fails_is_reported() -> None:
    def fails(arrays: Arrays) -> Arrays:
        if len(arrays["x"]) > 1:
            raise RuntimeError("only one\nrow")
        return same(arrays)

    report = judge(same, fails, output("FP32", 4))
    assert report.problem == "output 'y': fails on 3 rows: only one row"
    assert report.outputs[0].agreement == 0
