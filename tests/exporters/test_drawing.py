"""Rows made up from examples: what each way of making them shows."""

from __future__ import annotations

import pytest
import torch

from exporters.drawing import (
    FAMILIES,
    Family,
    differ,
    draw_rows,
    has,
    is_flag,
    is_mask,
    span_of,
    wider_spans,
)

EXAMPLES = {
    "image": torch.rand(2, 3, 4, 4),
    "half": torch.rand(2, 5).half() * 6e4,
    "double": torch.rand(2, 5).double(),
    "tokens": torch.tensor([[3, 9, 5], [4, 7, 5]]),
    "small": torch.tensor([[-3], [2]], dtype=torch.int8),
    "byte": torch.tensor([[250], [255]], dtype=torch.uint8),
    "mask": torch.tensor([[True, True, True, True]] * 2),
    "attention": torch.tensor([[1, 1, 1, 1]] * 2),
    "flag": torch.tensor([True, False]),
    "constant": torch.full((2, 1), 7.0),
    "zero": torch.zeros(2, 3),
}
SPANS = {n: s for n, t in EXAMPLES.items() if (s := span_of(t))} | {"attention": (0, 1)}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("rows", [1, 9])
def test_rows_are_of_the_examples_kind_and_differ(family: Family, rows: int) -> None:
    drawn = draw_rows(EXAMPLES, family, rows, 1, SPANS)
    assert list(drawn) == list(EXAMPLES)
    for name, example in EXAMPLES.items():
        assert drawn[name].shape == (rows, *example.shape[1:])
        assert drawn[name].dtype == example.dtype
        assert drawn[name].double().isfinite().all()
        if name in SPANS:
            assert drawn[name].min() >= min(SPANS[name][0], 0 if family.needs == "ids" else 9)
            assert drawn[name].max() <= SPANS[name][1]
    again = draw_rows(EXAMPLES, family, rows, 1, SPANS)
    assert all(torch.equal(drawn[name], again[name]) for name in drawn)
    if rows > 1:
        assert differ({"image": drawn["image"]})
        assert differ({"tokens": drawn["tokens"]})


def family(**styles: str) -> Family:
    return next(f for f in FAMILIES if all(getattr(f, k) == v for k, v in styles.items()))


def test_a_constant_gets_noise_of_its_own_size() -> None:
    drawn = draw_rows(EXAMPLES, family(floats="noisy", masks="end"), 64, 1, SPANS)
    assert 1 < drawn["constant"].std() < 4
    assert 0.1 < drawn["zero"].std() < 0.6


def test_some_rows_stay_in_the_range_of_the_examples() -> None:
    for floats in ("mixed", "shuffled"):
        drawn = draw_rows(EXAMPLES, family(floats=floats), 16, 1, SPANS)["image"]
        assert EXAMPLES["image"].min() <= drawn.min()
        assert drawn.max() <= EXAMPLES["image"].max()


def test_other_rows_are_quiet_loud_and_of_both_signs() -> None:
    drawn = draw_rows(EXAMPLES, family(floats="sized"), 8, 1, SPANS)["image"]
    sizes = drawn.reshape(8, -1).square().mean(1).sqrt()
    assert sizes.max() > 300 * sizes.min()
    assert (drawn.reshape(8, -1).sum(1) > 0).any()
    assert (drawn.reshape(8, -1).sum(1) < 0).any()


def test_masks_are_set_from_the_end_from_the_start_everywhere_nowhere_and_in_one_place() -> None:
    def masks(kind: str) -> torch.Tensor:
        return torch.cat(
            [draw_rows(EXAMPLES, f, 16, 1, SPANS)["mask"] for f in FAMILIES if f.masks == kind]
        ).int()

    assert (masks("end").diff() >= 0).all()
    assert (masks("start").diff() <= 0).all()
    for kind in ("end", "start", "random"):
        counts = masks(kind).sum(1)
        assert set(counts.tolist()) == {1, 2, 3}
    assert (masks("one").sum(1) == 1).all()
    assert masks("all").all()
    assert not masks("none").any()


def test_numbers_of_zeros_and_ones_may_be_masks_too() -> None:
    ones = {"mask": torch.ones(2, 6), "kind": torch.full((2, 6), 12), "flag": torch.ones(2)}
    spans = {"kind": (0, 30_012)}
    assert [name for name, tensor in ones.items() if is_flag(tensor)] == ["mask"]
    for f in FAMILIES:
        drawn = draw_rows(ones, f, 16, 1, spans)["mask"]
        assert (set(drawn.unique().tolist()) == {0, 1}) is (f.needs == "flags")
    assert has(ones, spans, "flags")
    assert not has({"kind": ones["kind"]}, spans, "flags")
    small = draw_rows(ones, family(integers="bounds"), 16, 1, spans)["kind"]
    assert small.max() <= 12
    low = draw_rows(ones, family(integers="even", masks="end"), 16, 1, spans)["kind"]
    assert (low < 12).any()
    assert (low > 1000).any()


def test_ids_end_in_zeros_from_another_place_in_each_row() -> None:
    drawn = draw_rows(EXAMPLES, family(needs="ids"), 16, 1, SPANS)["tokens"]
    assert ((drawn == 0).int().diff() >= 0).all()
    assert set((drawn == 0).sum(1).tolist()) == {1, 2}


def test_integers_of_zeros_and_ones_are_masks_and_others_are_not() -> None:
    assert is_mask(EXAMPLES["attention"], (0, 1))
    assert not is_mask(EXAMPLES["tokens"], SPANS["tokens"])
    for f in FAMILIES:
        assert set(draw_rows(EXAMPLES, f, 16, 1, SPANS)["attention"].unique().tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("example", "first", "last"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), (0, 30_000), (0, 1)),
        (torch.full((2, 3), -5, dtype=torch.int32), (-30_005, 0), (-6, 0)),
        (torch.full((2, 3), 128, dtype=torch.uint8), (0, 255), (0, 129)),
        (torch.full((2, 3), 32_767, dtype=torch.int16), (0, 32_767), (0, 32_767)),
        (torch.tensor([[3, 250]], dtype=torch.uint8), (0, 255), (0, 255)),
        (torch.tensor([[-3, 5]], dtype=torch.int8), (-128, 127), (-128, 127)),
    ],
)
def test_a_constant_integer_may_be_drawn_from_wider_ranges(
    example: torch.Tensor, first: tuple[int, int], last: tuple[int, int]
) -> None:
    ranges = list(wider_spans(example))
    assert (ranges[0], ranges[-1]) == (first, last)


@pytest.mark.parametrize("example", [torch.tensor([[3, 9]]), torch.tensor([[0, 1]]).byte()])
def test_what_varies_already_is_drawn_from_what_it_spans(example: torch.Tensor) -> None:
    assert list(wider_spans(example)) == []
