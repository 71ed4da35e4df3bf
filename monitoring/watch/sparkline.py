"""Numbers as a line of blocks."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["sparkline"]

_BLOCKS = " ▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None], width: int = 30) -> str:
    """The last `width` values, from 0 to the highest of them; a gap is a blank, 0 the lowest block.

    `sparkline([0, 2, 4])` is `▁▅█`.
    """
    kept = values[-width:]
    highest = max((value for value in kept if value is not None), default=0.0)
    top = len(_BLOCKS) - 2
    return "".join(
        _BLOCKS[0]
        if value is None
        else _BLOCKS[1 + round(top * value / highest if highest > 0 else 0)]
        for value in kept
    )
