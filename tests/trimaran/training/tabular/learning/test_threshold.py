from __future__ import annotations

import numpy as np

from trimaran.training.tabular.evaluation.metrics import choose_threshold, decide


def test_of_a_plateau_the_threshold_nearest_to_a_half_is_chosen() -> None:
    target = np.array([False] * 5 + [True] * 5)
    assert choose_threshold(target, np.array([0.1] * 5 + [0.9] * 5, dtype=np.float32)) == 0.5
    assert choose_threshold(target, np.array([0.1] * 5 + [0.3] * 5, dtype=np.float32)) == 0.3
    assert choose_threshold(target, np.array([0.6] * 5 + [0.9] * 5, dtype=np.float32)) == 0.61


def test_the_decision_is_that_of_float32() -> None:
    third = np.float32(0.37)
    assert decide(np.array([third]), 0.37).all()
    assert not decide(np.array([np.nextafter(third, np.float32(0))]), 0.37).any()


def test_no_positives_still_give_a_threshold() -> None:
    threshold = choose_threshold(np.zeros(4, dtype=bool), np.zeros(4, dtype=np.float32))
    assert threshold == 0.5
