"""What is tried before a file is published, on functions in place of files."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.artifacts.artifact import Axis
from exporters.artifacts.trial import batch_obstacle, evaluate
from exporters.parity import Run, UnservableError
from tests.exporters.artifacts.functions import Arrays, artifact, tensor
from trimaran.system.errors import ArtifactError


def test_a_file_that_needs_too_much_memory_is_not_tried() -> None:
    huge = artifact(dict, tensor("x", 2**40), tensor("x", 2**40))
    with pytest.raises(ArtifactError, match="m: needs more than 1 GiB of inputs"):
        evaluate(huge, "m", 4, None, insist=False)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (("N", 3), ("N",), ""),
        ((None, 3), (None, 4), ""),
        (("N", 3), (None, 3), "the first axis of 'x' is N and that of 'y' is nameless"),
        (("N", 3), ("N", "N"), "the length N of the first axes also appears elsewhere in 'y'"),
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


MADE_UP = "; these inputs were made up: give real ones with --sample inputs.npz"


@pytest.mark.parametrize(
    ("run", "note"),
    [
        (keeps, ""),
        (reverses, "a row of 'y' depends on the rows next to it"),
        (drops, "'y' has shape [1, 5] for a batch of 3"),
        (takes_one, "a batch of 3 fails on made-up inputs: takes one row"),
        (takes_more, "it fails on one row: takes more rows"),
    ],
)
@pytest.mark.parametrize("dtype", ["FP32", "BYTES", "INT64"])
def test_rows_that_cannot_be_put_together(run: Run, note: str, dtype: str) -> None:
    tried = artifact(run, tensor("x", "N", 5, dtype=dtype), tensor("y", "N", 5, dtype=dtype))
    verdict = evaluate(tried, "m", 8, None, insist=False)
    assert verdict.max_batch_size == (0 if note else 8)
    assert verdict.note.startswith(note)
    assert verdict.note.endswith(MADE_UP if note else "")
    if note:
        with pytest.raises(ArtifactError, match="m: cannot be served in batches: "):
            evaluate(tried, "m", 8, None, insist=True)


def minus_mean(arrays: Arrays) -> Arrays:
    return {"y": (arrays["x"] - arrays["x"].mean(0)) * np.float32(1e-5)}


def by_sign_of_all(arrays: Arrays) -> Arrays:
    return {"y": arrays["x"] * 2 if arrays["x"].sum() > 0 else arrays["x"] * 3 - 1}


def by_largest(arrays: Arrays) -> Arrays:
    return {"y": arrays["x"] / max(1, np.abs(arrays["x"]).max())}


def quantised_together(arrays: Arrays) -> Arrays:
    step = max(float(np.abs(arrays["x"]).max()) / 127, 1e-30)
    return {"y": (np.rint(arrays["x"] / step) * step).astype(np.float32)}


def masked_scores(arrays: Arrays) -> Arrays:
    x = arrays["x"]
    return {"y": np.concatenate([(x - x.mean(0))[:, :4], np.full_like(x[:, :1], -1e9)], axis=1)}


@pytest.mark.parametrize(
    "run", [minus_mean, by_sign_of_all, by_largest, quantised_together, masked_scores]
)
def test_what_rows_do_to_one_another_shows(run: Run) -> None:
    tried = artifact(run, tensor("x", "N", 5), tensor("y", "N", 5), mixing=["max sees all"])
    note = evaluate(tried, "m", 8, None, insist=False).note
    assert note.startswith("a row of 'y' depends on the rows next to it (up to ")
    assert ", since max sees all; these inputs" in note


def noisy_logits(arrays: Arrays) -> Arrays:
    """Sums that another batch size adds in another order, at 1e5."""
    noise = 1 + np.float32(1e-6) * len(arrays["x"])
    return {"y": arrays["x"] * np.float32(1e5) * noise}


def only_positive(arrays: Arrays) -> Arrays:
    if (arrays["x"] < 0).any():
        raise ValueError("is below 0")
    return {"y": np.sqrt(arrays["x"])}


def logarithm(arrays: Arrays) -> Arrays:
    with np.errstate(all="ignore"):
        return {"y": np.log(arrays["x"])}


def padding_alone_fails(arrays: Arrays) -> Arrays:
    if not arrays["x"].any():
        raise ValueError("is empty")
    return {"y": arrays["x"]}


@pytest.mark.parametrize("run", [noisy_logits, only_positive, logarithm, padding_alone_fails])
def test_sound_files_are_batched(run: Run) -> None:
    tried = artifact(run, tensor("x", "N", 5), tensor("y", "N", 5))
    assert evaluate(tried, "m", 8, None, insist=False).max_batch_size == 8


@pytest.mark.parametrize(
    ("run", "mixing", "note"),
    [
        (lambda arrays: {"y": arrays["x"] * 0 + 3}, [], "every row that was tried gets the same"),
        (lambda arrays: {"y": arrays["x"] % 7}, ["Q takes one range"], "integers rarely show"),
    ],
)
def test_answers_that_show_nothing_are_no_evidence(run: Run, mixing: list[str], note: str) -> None:
    x, y = (tensor(name, "N", 5, dtype="INT64") for name in "xy")
    verdict = evaluate(artifact(run, x, y, mixing=mixing), "m", 8, None, insist=False)
    assert verdict.max_batch_size == 0
    assert note in verdict.note


def test_answers_of_nan_are_no_evidence() -> None:
    tried = artifact(
        lambda arrays: {"y": arrays["x"] * np.float32("nan")}, tensor("x", "N"), tensor("y", "N")
    )
    note = evaluate(tried, "m", 8, None, insist=False).note
    assert note == "'y' is NaN or infinite in most places, which shows nothing" + MADE_UP


@pytest.mark.parametrize("wanted", [0, 8])
def test_a_file_that_answers_by_chance_or_by_what_it_was_asked_before_is_refused(
    wanted: int,
) -> None:
    generator = np.random.default_rng(0)

    def run(arrays: Arrays) -> Arrays:
        return {"y": arrays["x"] * (generator.random(arrays["x"].shape) < 0.9)}

    tried = artifact(run, tensor("x", "N", 5), tensor("y", "N", 5), random=["Bernoulli"])
    with pytest.raises(
        ArtifactError, match="gives different answers in 'y' when run again"
    ) as error:
        evaluate(tried, "m", wanted, None, insist=False)
    assert "; holds Bernoulli; export it in evaluation mode" in str(error.value)


def test_a_file_that_fails_when_asked_again_is_refused() -> None:
    asked = []

    def run(arrays: Arrays) -> Arrays:
        asked.append(arrays)
        if len(asked) > 1:
            raise ValueError("was asked before")
        return {"y": arrays["x"]}

    with pytest.raises(ArtifactError, match="fails when it is run again with the same"):
        evaluate(artifact(run, tensor("x", 5), tensor("y", 5)), "m", 0, None, insist=False)


def test_an_answer_that_no_inputs_mend_does_not_ask_for_a_sample() -> None:
    def run(arrays: Arrays) -> Arrays:
        raise UnservableError("returns a dict; return a tuple")

    with pytest.raises(ArtifactError, match="m: returns a dict; return a tuple") as error:
        evaluate(artifact(run, tensor("x", 5), tensor("y", 5)), "m", 0, None, insist=False)
    assert "--sample" not in str(error.value)


def test_an_answer_of_another_rank_than_the_file_says_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"'y' has shape \[4, 5\] when it is run, and \[\] by"):
        evaluate(artifact(keeps, tensor("x", "N", 5), tensor("y")), "m", 0, None, insist=False)


def test_a_sample_is_cut_or_repeated_to_a_batch() -> None:
    seen = []

    def run(arrays: Arrays) -> Arrays:
        seen.append(arrays["x"].tolist())
        return {"y": arrays["x"]}

    sample = {"x": np.array([[1.0], [2.0]], dtype=np.float32)}
    tried = artifact(run, tensor("x", "N", 1), tensor("y", "N", 1))
    assert evaluate(tried, "m", 8, sample, insist=False).max_batch_size == 8
    batch = [[1.0], [2.0], [1.0]]
    assert seen == [batch, batch, [[1.0]], [[2.0]], [[1.0]]]
    many = {"x": np.arange(20, dtype=np.float32)[:, None]}
    assert evaluate(tried, "m", 32, many, insist=False).max_batch_size == 32
    assert max(map(len, seen)) == 16


def test_equal_rows_prove_nothing() -> None:
    """Nothing but zeros is taken, or the sample has one row: neither shows that rows are apart."""

    def run(arrays: Arrays) -> Arrays:
        if arrays["x"].any():
            raise ValueError("takes zeros")
        return {"y": arrays["x"]}

    tried = artifact(run, tensor("x", "N", 1), tensor("y", "N", 1))
    for sample in (None, {"x": np.zeros((1, 1), dtype=np.float32)}):
        verdict = evaluate(tried, "m", 8, sample, insist=False)
        assert verdict.max_batch_size == 0
        assert "only equal rows were tried" in verdict.note
    assert evaluate(tried, "m", 1, None, insist=False).max_batch_size == 1
