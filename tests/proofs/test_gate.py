"""The parity gate refuses artifacts that are wrong in one place; all of them take minutes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from exporters.original import parity_with, run_original
from proofs.gate.__main__ import main
from proofs.gate.fresh import BOUND, excess, fresh_inputs
from proofs.gate.insertions import Sizes
from proofs.gate.kinds import KINDS
from proofs.gate.page import Tally, page
from proofs.gate.tasks import SUBJECTS, tasks
from proofs.gate.trial import MAX_BATCH_SIZE, Outcome, captured, feeds, hold_subject

WRONG = {
    ("mlp", "onnx"): (
        "a weight by 1 %",
        "a bias dropped",
        "rows mixed",
        "randomness",
        "the first row's value for all",
    ),
    ("activations", "torchscript"): (
        "a weight's axes swapped or reversed",
        "an activation for its neighbour",
        "rows mixed",
    ),
    ("causal_attention", "torchscript"): (
        "an operator for its neighbour",
        "a size baked in",
        "an input taken as constant",
    ),
    ("factorisation", "onnx"): (
        "a pooling or reduction for its neighbour",
        "a slice or index off by one",
        "a factor by 1 %",
    ),
}


QUICK = ("mlp", "onnx")


@pytest.mark.parametrize(
    ("name", "format"),
    [QUICK, *(pytest.param(*each, marks=pytest.mark.long) for each in WRONG if each != QUICK)],
)
def test_what_matters_is_refused_and_the_unchanged_is_not(
    name: str, format: str, tmp_path: Path
) -> None:
    subject = SUBJECTS[name]
    original = run_original(subject.spec(0), MAX_BATCH_SIZE)
    known = fresh_inputs(subject, original.spec, MAX_BATCH_SIZE)
    artifact = next(captured(original.spec, format, tmp_path))
    run = artifact.load(original.interface)
    assert parity_with(original, run).problem == ""
    assert excess(known, run) < 1

    example = {key: tensor.numpy() for key, tensor in original.spec.example_inputs.items()}
    sizes = Sizes.of(original.spec, MAX_BATCH_SIZE)
    changes = artifact.changes(feeds(subject, example), sizes, np.random.default_rng(0))
    changed = tmp_path / "changed"
    for kind in WRONG[name, format]:
        change = next(change for change in changes if change.kind == kind)
        artifact.write_changed(change, changed)
        wrong = artifact.load(original.interface, changed)
        assert excess(known, wrong) > BOUND, (kind, change.what)
        assert parity_with(original, wrong).problem, (kind, change.what)


@pytest.mark.long
def test_mutants_are_of_many_kinds_and_the_same_for_the_same_seed() -> None:
    first, again, other = (
        list(hold_subject(SUBJECTS["set_pooling"], "torchscript", mutants=8, seed=seed))
        for seed in (1, 1, 2)
    )
    assert [(o.kind, o.what, o.fresh) for o in first] == [(o.kind, o.what, o.fresh) for o in again]
    assert [o.what for o in first[1:]] != [o.what for o in other[1:]]
    kinds = [o.kind for o in first[1:]]
    assert max(Counter(kinds).values()) == 1
    assert set(kinds) < set(KINDS)
    assert first[0].unchanged
    assert first[0].problem == ""


def test_mutants_are_spread_evenly() -> None:
    given = tasks(100, weights=2)
    assert sum(task.mutants for task in given) == 100
    assert {task.mutants for task in given if task.weights == 0} == {1, 2}
    assert {task.subject for task in given} == set(SUBJECTS)


def test_the_page_names_what_was_missed_and_what_was_refused_wrongly() -> None:
    outcomes = [
        Outcome("mlp", "onnx", "none", "weights of seed 0", "off", 0.5, 0.5),
        Outcome("mlp", "onnx", KINDS[0], "Gemm", "element [0] is 1", 50.0, 0.0),
        Outcome("mlp", "onnx", KINDS[0], "Conv", "", float("inf"), 0.25),
        Outcome("mlp", "onnx", KINDS[1], "MatMul", "", 2.0, 0.5),
        Outcome("mlp", "onnx", KINDS[1], "Add", "", 0.1, 0.1),
    ]
    assert [o.what for o in Tally(outcomes).missed] == ["Conv"]
    text = page(outcomes, "the command")
    assert f"| {KINDS[0]} | 2 | 2 | 1 | 1 | 0 | 0 |" in text
    assert f"| {KINDS[1]} | 2 | 0 | 0 | 0 | 1 | 0 |" in text
    assert f"| mlp, onnx | {KINDS[0]} | Conv | no answer of its shape | 0.25 |" in text
    assert f"| mlp, onnx | {KINDS[1]} | MatMul | 2 | 0.5 |" in text
    assert "- mlp, onnx, weights of seed 0: off" in text


def test_a_count_of_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--count", "0"])
    assert "--count and --processes need at least 1" in capsys.readouterr().err
