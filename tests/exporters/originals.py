"""Modules that do what a test has them do, and what they are tried on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from exporters.original import Original, run_original
from exporters.spec import ModelSpec


class Does(nn.Module):
    """Whatever `what` makes of the inputs, with a layer to use."""

    def __init__(self, what: Callable[..., Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.what = what
        self.layer = nn.Linear(6, 3)
        self.table = nn.Embedding(9, 4)

    def forward(self, x: Tensor) -> Any:
        return self.what(self, x)


def run(what: Callable[..., Any], x: Tensor, most: int = 8, **more: Any) -> Original:
    return run_original(ModelSpec("m", Does(what), {"x": x}, ["y"], **more), most)


def sizes(original: Original) -> set[int]:
    return {len(batch["x"]) for batch in original.batches}
