"""What TorchScript says of itself before it is run: modes, chance, devices, results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from exporters.artifacts.torchscript_graph import (
    devices,
    mixing,
    random_operators,
    trained,
    unservable_result,
)
from exporters.torch_state import quiet


def reopened(module: Any, path: Path) -> Any:
    """A scripted or traced module, written and read as a file is."""
    with quiet():
        torch.jit.save(module, str(path / "m.pt"))
        return torch.jit.load(path / "m.pt", map_location="cpu")


def scripted(module: nn.Module) -> Any:
    with quiet():
        return torch.jit.script(module)


def traced(module: nn.Module, *shape: int) -> Any:
    with quiet():
        return torch.jit.trace(module, torch.randn(shape), check_trace=False)


class Functional(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.01, training=self.training)


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = functional.dropout(x, 0.5, training=True)
        return x


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(4, 4, 2, dropout=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def _norm(**options: bool) -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(4, **options))


@pytest.mark.parametrize(
    ("module", "found"),
    [
        (lambda: scripted(nn.Sequential(nn.Dropout(0.5)).train()), ["dropout"]),
        (lambda: scripted(nn.Sequential(nn.Dropout(0.5)).eval()), []),
        (lambda: scripted(nn.Sequential(nn.Dropout(0.0)).train()), []),
        (lambda: scripted(Functional().train()), ["dropout"]),
        (lambda: scripted(Functional().eval()), []),
        (lambda: scripted(Branch().train()), ["dropout"]),
        (lambda: scripted(Branch().eval()), []),
        (lambda: traced(Functional().train(), 2, 4), ["dropout"]),
        (lambda: scripted(_norm().train()), ["batch_norm"]),
        (lambda: scripted(_norm().eval()), []),
        (lambda: scripted(_norm(track_running_stats=False).eval()), []),
        (lambda: traced(_norm().train(), 3, 4), ["batch_norm"]),
        (
            lambda: scripted(nn.Sequential(nn.InstanceNorm1d(4, track_running_stats=True)).train()),
            ["instance_norm"],
        ),
        (lambda: scripted(nn.Sequential(nn.InstanceNorm1d(4)).train()), []),
        (lambda: traced(_norm().eval(), 3, 4).train(), []),
        (lambda: scripted(Recurrent().train()), ["lstm"]),
        (lambda: scripted(Recurrent().eval()), []),
        (lambda: scripted(nn.Linear(4, 4).train()), []),
        (
            lambda: scripted(Attention().train()),
            ["dropout", "scaled_dot_product_attention"],
        ),
        (lambda: scripted(Attention().eval()), []),
    ],
)
def test_training_is_reported_where_it_matters(
    tmp_path: Path, module: Callable[[], Any], found: list[str]
) -> None:
    assert trained(reopened(module(), tmp_path)) == found


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x + torch.randn_like(x), 0.5, training=False)


class OnGpu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to("cuda") + torch.zeros(4, device="cuda:1") + torch.zeros(4, device="cpu")


class Padded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.encoder(x, src_key_padding_mask=mask)


def test_chance_devices_and_mixtures_are_read_from_the_code(tmp_path: Path) -> None:
    assert random_operators(reopened(scripted(Noise().eval()), tmp_path)) == ["randn_like"]
    assert random_operators(reopened(scripted(Attention().eval()), tmp_path)) == []
    on_gpu = reopened(scripted(OnGpu()), tmp_path)
    assert devices(on_gpu) == ["cuda", "cuda:1"]
    assert devices(reopened(scripted(Noise()), tmp_path)) == []
    (found_mixing,) = mixing(reopened(scripted(Padded().eval()), tmp_path))
    assert "enable_nested_tensor=False" in found_mixing
    assert mixing(on_gpu) == []


class Pair(NamedTuple):
    a: Tensor
    b: Tensor


def _pair(x: Tensor) -> Pair:
    return Pair(x, x)


def _texts(x: Tensor) -> tuple[Tensor, list[str]]:
    return x, ["a"]


def _maybe(x: Tensor) -> Tensor | None:
    return x if x.numel() > 0 else None


def _mapped(x: Tensor) -> dict[str, Tensor]:
    return {"y": x}


def _listed(x: Tensor) -> list[Tensor]:
    return [x]


def _nested(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    return x, (x, x)


def _counted(x: Tensor) -> tuple[Tensor, int]:
    return x, len(x)


def _number(x: Tensor) -> float:
    return float(x.sum())


def _nothing(x: Tensor) -> None:
    return None


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (_pair, None), (_texts, None), (_maybe, None), (_mapped, "Dict[str, Tensor]"),
        (_listed, "List[Tensor]"), (_nested, "Tuple[Tensor, Tuple[Tensor, Tensor]]"),
        (_counted, "Tuple[Tensor, int]"), (_number, "float"), (_nothing, "NoneType"),
    ],
)  # fmt: skip
def test_results_that_no_server_carries_are_reported_by_their_type(
    function: Callable[[Tensor], Any], found: str | None
) -> None:
    with quiet():
        module = torch.jit.script(function)
    assert unservable_result(_Called(module)) == found


class _Called:
    """A scripted function where a module stands."""

    def __init__(self, function: Any) -> None:
        self.forward = function
