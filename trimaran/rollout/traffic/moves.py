"""What is done next with a candidate's traffic: one pure function."""

from __future__ import annotations

from typing import Literal

from trimaran.rollout.experiments.verdict import Word

__all__ = ["Move", "next_move"]

Move = Literal["stay", "next", "back", "over"]


def next_move(word: Word, *, waited: bool, last: bool) -> Move:
    """What follows from a verdict at a share of the traffic.

    | verdict | before the step has had its time | after it | after it, at the last step |
    |---|---|---|---|
    | `abort`, `inconclusive` | back | back | back |
    | `hold` | stay | next | stay |
    | `promote` | stay | next | over |

    `back` gives all traffic to what is live, and `over` ends an experiment whose candidate wins.
    """
    if word in ("abort", "inconclusive"):
        return "back"
    if not waited:
        return "stay"
    if not last:
        return "next"
    return "over" if word == "promote" else "stay"
