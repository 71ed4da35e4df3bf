from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from trimaran.served.ranking import rank


@given(st.integers(1, 5), st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_equals_softmax_and_topk(batch: int, classes: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(scale=20, size=(batch, classes)).astype(np.float32)
    top = min(5, classes)
    order, probabilities = rank(logits, top)
    expected = torch.from_numpy(logits).softmax(1).topk(top)
    np.testing.assert_array_equal(order, expected.indices.numpy())
    np.testing.assert_allclose(probabilities, expected.values.numpy(), rtol=1e-5, atol=1e-7)


def test_equal_logits_keep_class_order() -> None:
    order, _ = rank(np.zeros((1, 6), np.float32), 5)
    assert order.tolist() == [[0, 1, 2, 3, 4]]


def test_huge_logits_do_not_overflow() -> None:
    _, probabilities = rank(np.array([[1e30, 0.0]], np.float32), 2)
    assert probabilities.tolist() == [[1.0, 0.0]]


def test_a_row_of_small_logits_is_not_lost_next_to_one_of_large_ones() -> None:
    row = np.array([[1.0, 0.0]], np.float32)
    _, probabilities = rank(np.concatenate([row, row + np.float32(1000)]), 2)
    np.testing.assert_array_equal(probabilities[0], probabilities[1])
