"""Which export wins, and which bounds it keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.optimizing.decision import Entrant, Point, choose, missed


def point(*rates: float, batch: int = 1, p99: float = 5.0, late: int = 0) -> Point:
    """A point with as many turns as rates; its open loops had 1,000 requests."""
    p99s = (p99,) * len(rates)
    return Point(batch, 4, p99, rates, p99s, p99s, p99s, 1000 if rates else 0, late)


def entrant(name: str, *points: Point, size: int = 100) -> Entrant:
    return Entrant(name, name.split()[1], size, points)


FAST, SLOW = (200.0, 202.0, 201.0), (100.0, 101.0, 99.0)
LEVEL = (199.0, 203.0, 200.0)


@pytest.mark.parametrize(
    ("entrants", "bound_ms", "winner", "batch"),
    [
        pytest.param(
            [entrant("onnx fp32", point(*SLOW)), entrant("onnx int8", point(*FAST))],
            None, "onnx int8", 1, id="the fastest for certain",
        ),
        pytest.param(
            [entrant("onnx fp32", point(*LEVEL), size=900), entrant("onnx int8", point(*FAST))],
            None, "onnx fp32", 1, id="level: FP32 before a smaller file",
        ),
        pytest.param(
            [entrant("onnx fp16", point(*FAST), size=9), entrant("onnx int8", point(*LEVEL))],
            None, "onnx fp16", 1, id="level: the smaller file",
        ),
        pytest.param(
            [entrant("a fp32", point(*SLOW), point(*LEVEL, batch=8)),
             entrant("b int8", point(*(1.5 * rate for rate in SLOW)))],
            None, "a fp32", 8, id="each at its best number of rows",
        ),
        pytest.param(
            [entrant("a fp32", point(*SLOW)), entrant("b int8", point(*FAST, late=30))],
            10.0, "a fp32", 1, id="the fastest misses the bound",
        ),
        pytest.param(
            [entrant("a fp32", point(*SLOW), point(*FAST, batch=8, late=30))],
            10.0, "a fp32", 1, id="only more rows miss the bound",
        ),
        pytest.param(
            [entrant("a fp32", point(*SLOW)), entrant("b int8", point(p99=80.0))],
            10.0, "a fp32", 1, id="one could not keep the bound at any load",
        ),
    ],
)  # fmt: skip
def test_the_winner(
    entrants: list[Entrant], bound_ms: float | None, winner: str, batch: int
) -> None:
    choice = choose(entrants, bound_ms)
    assert choice.winner is not None
    assert choice.at is not None
    assert (choice.winner.name, choice.at.batch) == (winner, batch)
    assert choose(list(reversed(entrants)), bound_ms).winner == choice.winner
    assert winner not in choice.ratios
    keeping = {e.name for e in entrants if any(p.rates and not missed(p, bound_ms)
                                               for p in e.points)}  # fmt: skip
    assert {winner, *choice.ratios} == keeping


def test_where_none_keeps_the_bound_the_nearest_is_named() -> None:
    close = point(*FAST, p99=12.0, late=40)
    entrants = [entrant("a fp32", close), entrant("b int8", point(p99=80.0))]
    choice = choose(entrants, 10.0)
    assert choice.winner is None
    assert choice.nearest == (entrants[0], close)
    assert choose([], 10.0).nearest is None


@pytest.mark.parametrize(
    ("tried", "words"),
    [
        (point(*FAST, late=2), ""),
        (point(*FAST, late=40), "p99 5 ms, 40 of 1000 requests later than 7 ms"),
        (replace(point(*FAST), requests=100), "459 are needed to be certain"),
        (point(p99=80.0), "p99 80 ms at the lowest load"),
        (replace(point(*FAST), p99_ms=(), requests=0), "459 are needed to be certain"),
    ],
)
def test_a_bound_on_p99_is_kept_with_certainty_or_missed(tried: Point, words: str) -> None:
    assert missed(tried, None) == ""
    found = missed(tried, 7.0)
    assert words in found
    assert bool(found) is bool(words)
