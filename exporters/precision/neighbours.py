"""Whether rows that are batched together leave one another alone, tried with loud neighbours.

Lower precision makes this worth a test of its own: where one scale serves a whole batch, as in
dynamic quantisation, a row with large numbers takes the others' precision away. So rows are run
alone, and again beside neighbours sixteen times as large as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from exporters.parity import Arrays, Run, compare
from trimaran.repository.dtypes import TensorSpec

__all__ = ["dependent_rows"]

_LOUDER = 16.0


def dependent_rows(
    outputs: Sequence[TensorSpec],
    limits: Mapping[str, tuple[float, float]],
    batch: Arrays,
    run: Run,
) -> Iterator[tuple[str, str]]:
    """Outputs, with the reason, whose rows answer otherwise beside loud neighbours than alone.

    `limits` are `(rtol, atol)` of floating outputs. A decision at a threshold may flip by one
    rounding, so booleans and integers are watched only where there is nothing else to watch.
    """
    rows = len(next(iter(batch.values())))
    watched = [output for output in outputs if output.dtype.is_floating] or outputs
    for index in sorted({0, rows // 2, rows - 1}) if rows > 1 else ():
        alone = run({name: array[index : index + 1] for name, array in batch.items()})
        beside = run({name: _louder(array, index) for name, array in batch.items()})
        for output in watched:
            rtol, atol = limits.get(output.name, (0.0, 0.0))
            one, other = alone[output.name], beside[output.name][index : index + 1]
            found = compare(one, other, rtol, atol)
            if not found.passed:
                yield (
                    output.name,
                    f"row {index} depends on the rows beside it: alone and beside larger ones its "
                    f"values are up to {found.largest_error:.3g} apart (allowed: {atol:.3g} + "
                    f"{rtol:g}·|x|), so requests may not be batched together",
                )


def _louder(array: np.ndarray, index: int) -> np.ndarray:
    """The batch with every row but `index` multiplied, where its numbers can be."""
    if not np.issubdtype(array.dtype, np.floating):
        return array
    louder = (array * _LOUDER).astype(array.dtype)
    louder[index] = array[index]
    return louder
