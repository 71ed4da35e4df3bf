"""What is tried before a file is published, on functions in place of files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from exporters.artifacts.inputs import made_up

from exporters.artifacts.artifact import Artifact, Axis, FileTensor
from exporters.artifacts.trial import batch_obstacle, judge
from exporters.parity import Run
from trimaran.dtypes import DTYPES, by_triton
from trimaran.errors import ArtifactError

Arrays = Mapping[str, np.ndarray]


def tensor(name: str, *axes: Axis, dtype: str = "FP32") -> FileTensor:
    return FileTensor(name, by_triton(dtype), axes)


def artifact(run: Run, x: FileTensor, y: FileTensor) -> Artifact:
    return Artifact("onnx", "onnxruntime", "model.onnx", (), [x], [y], run, {}, {}, {})


@pytest.mark.parametrize("dtype", [d.triton for d in DTYPES if d.numpy is not None])
def test_inputs_are_made_up_for_every_type_and_for_scalars(dtype: str) -> None:
    tensors = [tensor("x", dtype=dtype), tensor("y", "N", 3, None, dtype=dtype)]
    tried = list(made_up(tensors, None))
    assert {item["x"].shape for item in tried} == {()}
    assert [item["y"].shape for item in tried[::3]] == [(n, 3, n) for n in (4, 1, 32, 224)]
    for item in tried:
        assert {array.dtype for array in item.values()} == {by_triton(dtype).numpy}


def test_inputs_that_would_fill_the_memory_are_not_made_up() -> None:
    assert list(made_up([tensor("x", 2**20, 2**20)], None)) == []
    assert {item["x"].shape for item in made_up([tensor("x", None, 2**21)], None)} == {
        (length, 2**21) for length in (4, 1, 32)
    }
    huge = artifact(dict, tensor("x", 2**40), tensor("x", 2**40))
    with pytest.raises(ArtifactError, match="m: needs more than 1 GiB of inputs"):
        judge(huge, "m", 4, None, insist=False)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (("N", 3), ("N",), ""),
        ((None, 3), (None, 4), ""),
        (("N", 3), (None, 3), "the first axis of 'x' is N and that of 'y' is nameless"),
        (("N", 3), ("N", "N"), "the length N of the first axes stands elsewhere in 'y'"),
        (("N", 3), (), "'y' is a scalar"),
        ((2, 3), ("N",), "the first axis of 'x' has the fixed length 2"),
    ],
)
def test_first_axes_that_may_be_a_batch(
    x: tuple[Axis, ...], y: tuple[Axis, ...], said: str
) -> None:
    assert batch_obstacle([tensor("x", *x)], [tensor("y", *y)], by_name=True) == said


def keeps(arrays: Arrays) -> Arrays:
    return {"y": arrays["x"]}


def reverses(arrays: Arrays) -> Arrays:
    return {"y": arrays["x"][::-1]}


def drops(arrays: Arrays) -> Arrays:
    return {"y": arrays["x"][:1]}


def takes_one(arrays: Arrays) -> Arrays:
    if len(arrays["x"]) != 1:
        raise ValueError("takes one row")
    return arrays | {"y": arrays["x"]}


def takes_more(arrays: Arrays) -> Arrays:
    if len(arrays["x"]) == 1:
        raise ValueError("takes more rows")
    return {"y": arrays["x"]}


@pytest.mark.parametrize(
    ("run", "note"),
    [
        (keeps, ""),
        (reverses, "a row of 'y' depends on the rows beside it"),
        (drops, "'y' has shape [1, 5] for a batch of 3"),
        (takes_one, "a batch of 3 fails on made-up inputs: takes one row"),
        (takes_more, "it fails on one row: takes more rows"),
    ],
)
@pytest.mark.parametrize("dtype", ["FP32", "BYTES"])
def test_rows_that_cannot_be_put_together(run: Run, note: str, dtype: str) -> None:
    tried = artifact(run, tensor("x", "N", 5, dtype=dtype), tensor("y", "N", 5, dtype=dtype))
    verdict = judge(tried, "m", 8, None, insist=False)
    assert verdict.max_batch_size == (0 if note else 8)
    assert verdict.note == note
    if note:
        with pytest.raises(ArtifactError, match="m: cannot be served in batches: "):
            judge(tried, "m", 8, None, insist=True)


def test_an_answer_of_another_rank_than_the_file_says_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"'y' has shape \[4, 5\] when it is run, and \[\] by"):
        judge(artifact(keeps, tensor("x", "N", 5), tensor("y")), "m", 0, None, insist=False)


def test_a_sample_is_cut_or_repeated_to_a_batch() -> None:
    seen = []

    def run(arrays: Arrays) -> Arrays:
        seen.append(arrays["x"].tolist())
        return {"y": arrays["x"]}

    sample = {"x": np.array([[1.0], [2.0]], dtype=np.float32)}
    tried = artifact(run, tensor("x", "N", 1), tensor("y", "N", 1))
    assert judge(tried, "m", 8, sample, insist=False).max_batch_size == 8
    assert seen == [[[1.0], [2.0], [1.0]], [[1.0]], [[2.0]], [[1.0]]]


def test_equal_rows_prove_nothing() -> None:
    """Nothing but zeros is taken, or the sample has one row: neither shows that rows are apart."""

    def run(arrays: Arrays) -> Arrays:
        if arrays["x"].any():
            raise ValueError("takes zeros")
        return {"y": arrays["x"]}

    tried = artifact(run, tensor("x", "N", 1), tensor("y", "N", 1))
    for sample in (None, {"x": np.zeros((1, 1), dtype=np.float32)}):
        verdict = judge(tried, "m", 8, sample, insist=False)
        assert verdict.max_batch_size == 0
        assert "only equal rows were tried" in verdict.note
    assert judge(tried, "m", 1, None, insist=False).max_batch_size == 1
