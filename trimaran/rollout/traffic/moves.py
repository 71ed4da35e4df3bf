"""What is done next with a candidate's traffic: one pure function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from trimaran.rollout.experiments.verdict import Word

__all__ = ["Move", "next_move"]

Move = Literal["stay", "next", "back", "over"]


def next_move(
    word: Word, share: float, steps: Sequence[float], at_step_s: float, each_s: float
) -> Move:
    """What follows from a verdict, at a share of the traffic, after a time at it.

    | verdict | at the last step | before it |
    |---|---|---|
    | `abort`, `inconclusive` | back | back |
    | `promote` | over, once `each_s` has passed | next, once `each_s` has passed |
    | `hold` | stay | next, once `each_s` has passed |

    `back` gives all traffic to what is live, and `over` ends an experiment whose candidate wins. A
    share that is none of the steps, which a person chose, is taken for the last step below it.
    """
    if word in ("abort", "inconclusive"):
        return "back"
    if at_step_s < each_s:
        return "stay"
    if share < steps[-1]:
        return "next"
    return "over" if word == "promote" else "stay"


def step_after(share: float, steps: Sequence[float]) -> float:
    """The share of the next step."""
    return min(each for each in steps if each > share)
