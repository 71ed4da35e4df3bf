"""Made-up inputs: of every type and shape, the same every time, and such that faults show."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.artifacts.drawing import BASES, Drawing, Pattern, drawings, most_below
from tests.exporters.artifacts.functions import tensor
from trimaran.repository.dtypes import DTYPES, by_triton


@pytest.mark.parametrize("dtype", [d.triton for d in DTYPES if d.numpy is not None])
def test_inputs_are_made_up_for_every_type_and_for_scalars(dtype: str) -> None:
    tensors = [tensor("x", dtype=dtype), tensor("y", "N", 3, dtype=dtype)]
    found = list(drawings(tensors, None))
    assert [d.shapes["y"] for d in found] == [(n, 3) for n in (4, 1, 32, 224, 1024, 16000)]
    for pattern in Pattern:
        drawn, again = found[0].draw(pattern), found[0].draw(pattern)
        assert drawn["x"].shape == ()
        assert drawn["y"].shape == (4, 3)
        assert {array.dtype for array in drawn.values()} == {by_triton(dtype).numpy}
        np.testing.assert_array_equal(drawn["y"], again["y"])


def test_inputs_that_would_fill_the_memory_are_not_made_up() -> None:
    assert list(drawings([tensor("x", 2**20, 2**20)], None)) == []
    found = drawings([tensor("x", None, 2**21)], None)
    assert [d.shapes["x"] for d in found] == [(length, 2**21) for length in (4, 1, 32)]


def drawing(dtype: str, *shape: int, bound: int = 100) -> Drawing:
    return Drawing([tensor("x", *shape, dtype=dtype)], {"x": shape}, {"x": bound})


def test_floats_are_around_zero_and_rows_on_scales_of_their_own() -> None:
    for pattern in (Pattern.LOUD, Pattern.QUIET):
        x = drawing("FP32", 3, 200).draw(pattern)["x"]
        assert (x < 0).any(axis=1).all()
        sizes = np.abs(x).mean(axis=1)
        assert sizes.max() > 20 * sizes.min()


def test_integers_reach_from_modest_to_their_bound() -> None:
    loud = drawing("INT64", 3, 50).draw(Pattern.LOUD)["x"]
    assert sorted(loud.max(axis=1) // 10) == [0, 0, 9]
    ends = drawing("INT64", 3, 4).draw(Pattern.PADDED_END)["x"]
    assert (ends.min(), ends.max()) == (0, 99)
    upper = drawing("INT64", 3, 50).draw(Pattern.WIDE)["x"]
    assert (upper.min(), upper.max()) == (50, 99)
    signed = drawing("INT8", 3, 50, bound=128).draw(Pattern.SIGNED)["x"]
    assert (signed.min(), signed.max()) == (-128, 127)
    assert drawing("UINT8", 3, 50, bound=256).draw(Pattern.SIGNED)["x"].max() == 255
    counts = drawing("INT64", 3, 50).after(Pattern.COUNTS)
    assert all(counts.draw(p)["x"].min() >= 1 for p in (Pattern.COUNTS, Pattern.WIDE, Pattern.LOUD))


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        (Pattern.QUIET, ["1111", "1111", "1111"]),
        (Pattern.PADDED_END, ["1110", "1100", "1000"]),
        (Pattern.PADDED_START, ["0111", "0011", "0001"]),
        (Pattern.PADDED_APART, ["0111", "1100", "1010"]),
        (Pattern.ONE, ["1000", "0100", "0010"]),
    ],
)
def test_masks_are_structured(pattern: Pattern, kept: list[str]) -> None:
    mask = drawing("BOOL", 3, 4).draw(pattern)["x"]
    assert ["".join(str(int(place)) for place in row) for row in mask] == kept
    if pattern is not Pattern.QUIET:
        x = drawing("FP32", 3, 4, 5).draw(pattern)["x"]
        np.testing.assert_array_equal((x != 0).all(axis=2), mask)


def test_what_is_tried_first_is_small_and_what_follows_depends_on_the_types() -> None:
    for pattern in BASES:
        assert set(np.unique(drawing("INT64", 3, 4).draw(pattern)["x"])) <= {0, 1}
    assert len(drawing("FP32", 3).patterns) < len(drawing("INT64", 3).patterns)


@pytest.mark.parametrize(
    ("dtype", "bound"),
    [("UINT8", 256), ("INT8", 128), ("INT16", 2**15), ("INT64", 2**20), ("FP32", None)],
)
def test_integers_end_at_their_type_or_at_a_million(dtype: str, bound: int | None) -> None:
    assert most_below(by_triton(dtype)) == bound
