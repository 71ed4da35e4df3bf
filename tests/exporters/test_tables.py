"""How exports are printed."""

from __future__ import annotations

import pytest

from exporters.tables import sizes


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((), ""),
        ((1,), "1"),
        ((1, 2), "1, 2"),
        ((1, 2, 3), "1 to 3"),
        ((1, 3, 4, 5, 32), "1, 3 to 5, 32"),
    ],
)
def test_batch_sizes_in_a_row_are_a_range(numbers: tuple[int, ...], words: str) -> None:
    assert sizes(numbers) == words
