"""Which arm a client belongs to, and what is done next, as pure decisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trimaran.rollout.experiments.verdict import Move, Word, next_move
from trimaran.rollout.traffic.split import Split
from trimaran.system.ports import Ports


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_key_decides_the_arm_and_keeps_it_as_the_share_grows(share: float) -> None:
    split = Split("shop/1", "shop", "1", "2", share, Ports(), digest_key="a key")
    keys = [str(number) for number in range(20_000)]
    chosen = {key for key in keys if split.arm(key) == "candidate"}
    assert abs(len(chosen) / len(keys) - share) < 4 * (share * (1 - share) / len(keys)) ** 0.5
    greater = replace(split, share=share * 1.5)
    assert chosen <= {key for key in keys if greater.arm(key) == "candidate"}
    other = replace(split, digest_key="another")
    assert chosen != {key for key in keys if other.arm(key) == "candidate"}


WORDS: tuple[Word, ...] = ("promote", "hold", "abort", "inconclusive")


@pytest.mark.parametrize(
    ("waited", "last", "moves"),
    [
        (False, False, ("stay", "stay", "back", "back")),
        (False, True, ("stay", "stay", "back", "back")),
        (True, False, ("next", "next", "back", "back")),
        (True, True, ("over", "stay", "back", "back")),
    ],
)
def test_the_next_move(waited: bool, last: bool, moves: tuple[Move, ...]) -> None:
    assert tuple(next_move(word, waited=waited, last=last) for word in WORDS) == moves
