"""Where forward reads values, which a trace would make constants of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from exporters.formats.value_reads import value_read
from exporters.spec import ModelSpec

CONSTANT = torch.ones(1)


def more_than_two(x: Tensor) -> Tensor:
    count = (x > 2).nonzero().shape[0]
    return x * 2 if count > 2 else x


class Does(nn.Module):
    def __init__(self, what: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> Tensor:
        return self.what(x)


@pytest.mark.parametrize(
    ("what", "reads"),
    [
        (lambda x: x * 2 if bool(x.max() > 5) else x, True),
        (lambda x: x * float(x[0, 0]), True),
        (lambda x: x + x.sum().item(), True),
        (lambda x: torch.from_numpy(x.numpy() + 1), True),
        (lambda x: torch.tensor(x.tolist()), True),
        (lambda x: x * 2 if x.shape[1] > 5 else x, False),
        (lambda x: x[:, : int(x.size(1) // 2)], False),
        (lambda x: torch.where(x > 0, x, -x), False),
        (lambda x: x if torch.jit.is_tracing() or bool(x.max() > 5) else x * 2, False),
        (lambda x: x * 2 if bool(CONSTANT.max() > 5) else x, False),
        (lambda x: torch.nn.functional.one_hot(x.long(), 5), False),
        (lambda x: x[:, CONSTANT.long()], False),
        (lambda x: x * float(f"{x.max():.1f}"), True),
        (lambda x: x * sum(1 for value in x[0] if value > 0), True),
        (lambda x: x.clone().fill_(2) * x.add_(1).sum().item(), True),
        (lambda x: x if 5 in x else x * 2, True),
        (lambda x: x if torch.equal(x, x.abs()) else x * 2, True),
        (lambda x: x * [1.0, 2.0][x.long()[0, 0]], True),
        (lambda x: x if torch.is_nonzero(x[0, 0]) else x * 2, True),
        (lambda x: x if x[x > 2].numel() == 0 else x * 2, True),
        (lambda x: x * 2 if len(x.nonzero()) > 3 else x, True),
        (lambda x: x * (x > 2).nonzero().shape[0], False),
        (more_than_two, True),
        (lambda x: x if torch.equal(CONSTANT, CONSTANT + 1) else x * 2, False),
    ],
)
def test_values_are_distinguished_from_sizes(what: Callable[[Tensor], Tensor], reads: bool) -> None:
    place = value_read(ModelSpec("m", Does(what), {"x": torch.ones(2, 4)}, ["y"]))
    assert (place is not None) == reads
    if place is not None:
        assert place.startswith("test_value_reads.py:")
