"""A few architectures of the catalogue through every export; all of them take minutes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from proofs.architectures.trial import (
    FORMATS,
    Trial,
    catalogue,
    find,
    markdown,
    try_architecture,
    try_each,
)
from tests.programs import COMPILER, require

EXPORTED = [
    ("distilbert", ("batch", "sequence")),
    ("lstm_with_state", ("batch", "sequence")),
    ("unet", ("batch", "height", "width")),
]


@pytest.fixture
def compiler() -> None:
    require(COMPILER)


def assert_exported(trials: Sequence[Trial], axes: tuple[str, ...]) -> None:
    assert [trial.format for trial in trials] == list(FORMATS)
    for trial in trials:
        assert trial.as_expected, trial.problem
        if not trial.exported:
            continue
        assert trial.largest_error < 1e-4
        assert trial.largest_value > 0.1
        assert trial.axes == axes


@pytest.mark.usefixtures("compiler")
@pytest.mark.long
@pytest.mark.parametrize(("name", "axes"), EXPORTED)
def test_it_is_exported_in_every_format_within_the_tolerance(
    name: str, axes: tuple[str, ...]
) -> None:
    assert_exported(try_architecture(find(name)), axes)


@pytest.mark.usefixtures("compiler")
def test_what_no_format_can_hold_is_refused_as_expected() -> None:
    for trial in try_architecture(find("complex_output")):
        assert trial.as_expected, trial.problem
        assert not trial.exported


@pytest.mark.usefixtures("compiler")
@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_each_is_tried_in_a_process_of_its_own() -> None:
    names = ["wide_and_deep", "mean_of_the_batch"]
    found = {trials[0].architecture: trials for trials in try_each(names, 2)}
    assert sorted(found) == sorted(names)
    assert_exported(found["wide_and_deep"], ("batch",))
    for trial in found["mean_of_the_batch"]:
        assert trial.as_expected, trial.problem
        assert not trial.exported


@pytest.mark.usefixtures("compiler")
def test_what_one_format_cannot_hold_is_refused_by_its_reason() -> None:
    onnx, aoti, torchscript = try_architecture(find("branch_on_values"))
    for trial in (onnx, aoti):
        assert "torch.where or torch.cond" in trial.problem
        assert trial.as_expected
        assert not trial.exported
    assert torchscript.capture == "script"


def test_the_catalogue_has_the_spread_that_it_promises() -> None:
    names = [item.name for item in catalogue()]
    assert len(set(names)) == len(names)
    families = [item.family for item in catalogue() if len(item.refused) < len(FORMATS)]
    for family in ("text", "decoder", "vision", "audio", "encoder and decoder", "recurrent"):
        assert families.count(family) >= 4


def test_the_page_counts_and_names_failures() -> None:
    chosen = [find("bert"), find("complex_output")]
    trials = [
        Trial("bert", "onnx", "dynamo", 1e-6, 2.5, axes=("batch", "sequence")),
        Trial("bert", "aoti", "torch.export", 2e-6, 2.5, axes=("batch", "sequence")),
        Trial("bert", "torchscript", problem="a | surprise"),
        *(Trial("complex_output", f, problem="complex64", expected_problem="c") for f in FORMATS),
    ]
    page = markdown(chosen, trials)
    assert "| 2.5 | 1.0e-06 (dynamo) | 2.0e-06 (torch.export) | **failed** |" in page
    assert "- onnx: 1 of 1 verified, 1 refused as expected" in page
    assert "- torchscript: 0 of 1 verified, 1 refused as expected" in page
    assert "- bert, torchscript **(not expected)**: a \\| surprise" in page
