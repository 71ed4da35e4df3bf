"""Triton's statistics are read once they hold what was answered."""

from __future__ import annotations

from typing import Any, cast

from loadtests.subject import statistics_after, steps_between
from trimaran.serving.control import Control


class Late:
    """Each reading of a model counts one request more, until all of its requests are counted."""

    def __init__(self, **most: int) -> None:
        self.most, self.asked = most, 0

    def statistics(self, model: str) -> list[dict[str, Any]]:
        self.asked += model == next(iter(self.most))
        count = min(self.asked, self.most[model])
        return [{"version": "1", "inference_stats": {"success": {"count": count}}}]


def test_answers_that_are_not_counted_yet_are_waited_for() -> None:
    control = Late(ensemble=3, step=3)
    before = {("ensemble", "1"): {}, ("step", "1"): {}}
    after = statistics_after(cast("Control", control), control.most, before, 3)
    assert control.asked == 3
    assert [step.requests for step in steps_between(before, after)] == [3, 3]


def test_a_server_that_counts_fewer_is_not_waited_for_without_end() -> None:
    control = Late(ensemble=2)
    after = statistics_after(cast("Control", control), control.most, {}, 5)
    assert [step.requests for step in steps_between({}, after)] == [2]
    assert control.asked > 2
