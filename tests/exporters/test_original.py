"""The trained module itself, and why some cannot be served in batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters.original import run_original
from exporters.spec import ModelSpec
from tests import models
from trimaran.errors import ParityError, TrimaranError


def test_the_module_is_run_on_one_row_an_odd_number_and_the_most() -> None:
    original = run_original(models.linear(), 5)
    assert [batch["x"].shape for batch in original.batches] == [(1, 8), (3, 8), (5, 8)]
    assert [answer["y"].shape for answer in original.expected] == [(1, 4), (3, 4), (5, 4)]
    layer = original.spec.module.layer
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    for batch, answer in zip(original.batches, original.expected, strict=True):
        np.testing.assert_allclose(answer["y"], batch["x"] @ weight.T + bias, rtol=1e-5, atol=1e-6)


def test_axes_that_vary_are_tried_at_their_least_and_most() -> None:
    original = run_original(models.tokens(), 4)
    shapes = [batch["tokens"].shape for batch in original.batches]
    assert shapes == [(1, 7), (3, 7), (4, 7), (3, 1), (3, 64)]
    hidden, count, any_ = original.interface.outputs
    assert [str(hidden), str(count), str(any_)] == [
        "hidden FP32 [-1, 6]", "count INT64 []", "any BOOL []",
    ]  # fmt: skip


def test_rows_that_influence_one_another_are_refused() -> None:
    with pytest.raises(ParityError) as refused:
        run_original(models.mixes_rows(), 4)
    assert "model mixes_rows cannot be served in batches: output 'y': row 0" in str(refused.value)
    assert "may not be batched together" in str(refused.value)


def test_rows_that_are_never_batched_may_do_what_they_like() -> None:
    assert len(run_original(models.mixes_rows(), 1).batches) == 1


class AddsInPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.add_(1.0)


def test_a_module_that_writes_into_its_input_leaves_the_batches_alone() -> None:
    original = run_original(ModelSpec("m", AddsInPlace(), {"x": torch.zeros(2, 3)}, ["y"]), 3)
    for batch, answer in zip(original.batches, original.expected, strict=True):
        np.testing.assert_array_equal(answer["y"], batch["x"] + np.float32(1))


class FixedBatch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, 8) * 2


def test_a_module_for_one_batch_size_is_refused() -> None:
    spec = ModelSpec("m", FixedBatch(), {"x": torch.zeros(2, 8)}, ["y"])
    with pytest.raises(
        TrimaranError, match="model m fails in PyTorch on its own inputs"
    ) as refused:
        run_original(spec, 4)
    assert "\n" not in str(refused.value)


class Remembers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.calls


class Drops(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, training=True)


@pytest.mark.parametrize("module", [Remembers(), Drops()])
@pytest.mark.parametrize("most", [1, 4])
def test_a_module_that_answers_differently_when_asked_again_is_refused(
    module: nn.Module, most: int
) -> None:
    with pytest.raises(ParityError, match="model m gives other answers when asked again"):
        run_original(ModelSpec("m", module, {"x": torch.ones(2, 64)}, ["y"]), most)


class Sparse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to_sparse()


def test_a_sparse_answer_is_refused() -> None:
    with pytest.raises(TrimaranError, match="output 'y' is sparse, which Triton cannot carry"):
        run_original(ModelSpec("m", Sparse(), {"x": torch.ones(2, 3)}, ["y"]), 4)


def test_a_module_put_back_into_training_is_run_in_eval_mode() -> None:
    spec = ModelSpec("m", nn.Dropout(0.5), {"x": torch.ones(2, 64)}, ["y"])
    spec.module.train()
    (answer,) = run_original(spec, 1).expected
    assert (answer["y"] != 0).all()
