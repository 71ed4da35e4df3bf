"""Which lengths are tried, and the conditions of each way of forward."""

from __future__ import annotations

import torch
from torch import nn

from exporters.lengths import candidates, every_length, spread, uncovered, usual_lengths
from exporters.spec import ModelSpec
from exporters.ways import Way


def spec(**axes: tuple[int, int] | tuple[int, int, int]) -> ModelSpec:
    """One input whose axes are of length 32 and vary as said."""
    example = torch.zeros(2, *[32] * len(axes))
    varying = {k: (name, *limits) for k, (name, limits) in enumerate(axes.items(), 1)}
    return ModelSpec("m", nn.Identity(), {"x": example}, ["y"], {"x": varying} if varying else {})


def test_the_ends_the_neighbours_the_middle_and_a_multiple_of_eight_are_tried() -> None:
    assert usual_lengths(spec(n=(4, 101))) == {"batch": 2, "n": 32}
    assert [item["n"] for item in spread(spec(n=(4, 101)))] == [4, 101, 31, 33, 52, 53, 48]
    assert [item["n"] for item in spread(spec(n=(31, 33)))] == [31, 33]
    assert spread(spec()) == []


def test_lengths_are_ones_that_the_axis_may_have() -> None:
    stepped = spec(n=(8, 800, 8))
    for item in (*spread(stepped), *candidates(stepped, 4, ["n > 403"])):
        assert 8 <= item["n"] <= 800
        assert item["n"] % 8 == 0


def test_a_short_axis_is_tried_at_all_its_lengths() -> None:
    short = spec(n=(20, 40))
    tried = [item["n"] for item in (*spread(short), *every_length(short)) if item["n"] != 32]
    assert sorted(tried) == [n for n in range(20, 41) if n != 32]
    assert every_length(spec(n=(4, 101))) == []
    both = every_length(spec(n=(4, 101), m=(30, 40)))
    assert {item["n"] for item in both} == {32}
    assert every_length(spec()) == []


def test_several_axes_go_through_their_lengths_in_another_order_each() -> None:
    tried = spread(spec(h=(4, 64), w=(4, 64)))
    assert tried[:2] == [{"h": 4, "w": 4}, {"h": 64, "w": 64}]
    assert all(item["h"] != item["w"] for item in tried[2:])
    pairs = candidates(spec(h=(4, 64), w=(4, 64)), 8)
    assert any(item["h"] > item["w"] for item in pairs)
    assert any(item["h"] < item["w"] for item in pairs)


def test_a_long_axis_is_looked_at_around_the_numbers_of_a_condition() -> None:
    lengths = {item["n"] for item in candidates(spec(n=(4, 100_000)), 4, ["n != 77_777", "n < 9"])}
    assert {8, 9, 10} <= lengths
    assert len(lengths) < 400
    found = {item["n"] for item in candidates(spec(n=(4, 100_000)), 4, ["n != 77777"])}
    assert {77_776, 77_777, 77_778} <= found


def test_a_way_is_taken_where_its_conditions_hold() -> None:
    way = Way(("(n % 2) == 0", "n > 10"))
    assert way.taken_at({"n": 12})
    assert way.broken_at({"n": 13}) == "(n % 2) == 0"
    assert way.broken_at({"n": 8}) == "n > 10"
    other = Way(("(n % 2) != 0",))
    assert list(uncovered([way, other], [{"n": 12}, {"n": 13}, {"n": 8}])) == [{"n": 8}]
    assert Way(("1 // (n - 4) == 0",)).taken_at({"n": 4})
