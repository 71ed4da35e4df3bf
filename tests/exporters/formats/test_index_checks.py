"""A wrong index from an input is refused by a check, before code of AOTInductor could end on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters.formats.aoti import AotiExporter
from exporters.formats.index_checks import with_checked_indices
from exporters.formats.program import export_program
from exporters.original import run_original
from exporters.spec import ModelSpec
from exporters.torch_state import quiet
from tests.programs import COMPILER, require

TABLE = torch.arange(12.0).reshape(6, 2)
Forward = Callable[[Tensor, Tensor], Tensor]


class Calls(nn.Module):
    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.forward_ = forward

    def forward(self, at: Tensor, x: Tensor) -> Tensor:
        return self.forward_(at, x)


@pytest.mark.parametrize(
    ("forward", "right", "wrong", "said"),
    [
        (lambda at, x: nn.functional.embedding(at, TABLE), 5, 6, "an index in INPUT__0"),
        (lambda at, x: nn.functional.embedding(at, TABLE), 0, -1, "outside of 0 to 5"),
        (lambda at, x: nn.functional.embedding(at * 2, TABLE), 2, 3, "that embedding takes"),
        (lambda at, x: TABLE[at], -6, -7, "outside of -6 to 5"),
        (lambda at, x: x[torch.ones_like(at[:, 0], dtype=bool)][:, at[0]], 3, 4, "-4 to 3"),
        (lambda at, x: TABLE[at, at % 2], 5, 6, "-6 to 5"),
        (lambda at, x: x.gather(1, at), 3, 4, "outside of 0 to 3"),
        (lambda at, x: x.gather(1, index=at), 3, 4, "outside of 0 to 3"),
        (lambda at, x: x.index_select(1, at[0]), 3, 4, "index_select takes"),
        (lambda at, x: torch.zeros_like(x).scatter(1, at, 1.0), 3, 4, "outside of 0 to 3"),
        (lambda at, x: x.clone().scatter_add_(1, at, x), 3, 4, "outside of 0 to 3"),
        (lambda at, x: at.gather(1, at), 3, 4, "outside of 0 to 3"),
    ],
)
def test_an_index_out_of_range_is_refused_and_others_answer_as_before(
    forward: Forward, right: int, wrong: int, said: str
) -> None:
    given = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1]]), torch.arange(8.0).reshape(2, 4)
    spec = ModelSpec("calls", Calls(forward), dict(zip(("at", "x"), given, strict=True)), ["y"])
    with quiet():
        checked = with_checked_indices(export_program(spec)).module()
        good = torch.full((2, 4), right), given[1]
        assert torch.equal(checked(*good)[0], forward(*good))
        with pytest.raises(RuntimeError, match=said):
            checked(torch.full((2, 4), wrong), given[1])


def test_indices_of_shapes_and_weights_are_left_alone() -> None:
    def forward(at: Tensor, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1]) + torch.zeros_like(at)
        return nn.functional.embedding(places, TABLE) * x.unsqueeze(-1)

    example = {"at": torch.zeros(2, 4, dtype=torch.int64), "x": torch.ones(2, 4)}
    with quiet():
        program = export_program(ModelSpec("calls", Calls(forward), example, ["y"]))
        checked = with_checked_indices(program)
    assert checked.graph_module.code == program.graph_module.code


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 3)
        self.rnn = nn.RNN(3, 4, batch_first=True, bidirectional=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.rnn(self.embedding(tokens))[0]


@pytest.mark.long
def test_compiled_code_takes_any_length_and_outlives_a_wrong_index(tmp_path: Path) -> None:
    require(COMPILER)
    tokens = torch.tensor([[1, 2, 3], [9, 0, 4]])
    axes = {"tokens": {1: ("steps", 1, 12)}}
    spec = ModelSpec("recurrent", Recurrent(), {"tokens": tokens}, ["y"], dynamic_axes=axes)
    original = run_original(spec, 4)
    exporter = AotiExporter("cpu")
    list(exporter.captures(spec, tmp_path / "model.pt2"))
    run = exporter.load(tmp_path / "model.pt2", original.interface)
    for rows, steps in ((1, 1), (4, 12)):
        given = torch.arange(rows * steps).reshape(rows, steps) % 10
        with quiet():
            expected = spec.module(given).numpy()
        assert np.allclose(run({"tokens": given.numpy()})["y"], expected, atol=1e-6)
        with pytest.raises(Exception, match="an index in INPUT__0 lies outside of 0 to 9"):
            run({"tokens": given.numpy() + 10})
