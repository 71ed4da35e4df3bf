"""The process in which TorchScript is loaded as a server loads it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters.formats import clean_process
from exporters.formats.clean_process import load_torchscript
from exporters.parity import ArtifactRuntimeError, UnservableError


class Two(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + 1, x.sum(1)


class Takes(nn.Module):
    def forward(self, x: Tensor, count: int) -> Tensor:
        return x * count


def saved(module: nn.Module, path: Path) -> Path:
    torch.jit.save(torch.jit.script(module), str(path))
    return path


class Lacking(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return x, None


class Narrow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.bfloat16)


X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_one_process_serves_several_artifacts_and_names_what_fails(tmp_path: Path) -> None:
    run = load_torchscript(saved(Two(), tmp_path / "a.pt"), ["x"], ["y", "z"])
    other = load_torchscript(saved(nn.Linear(3, 2), tmp_path / "b.pt"), ["x"], ["y"])
    answers = run({"x": X})
    np.testing.assert_array_equal(answers["y"], X + 1)
    np.testing.assert_array_equal(answers["z"], X.sum(1))
    assert other({"x": X})["y"].shape == (2, 2)
    with pytest.raises(ArtifactRuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        other({"x": X[:, :2]})
    assert other({"x": X})["y"].shape == (2, 2)
    with pytest.raises(ArtifactRuntimeError, match="answers 2 tensors, and not 1"):
        load_torchscript(tmp_path / "a.pt", ["x"], ["y"])({"x": X})


def test_what_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    with pytest.raises(ArtifactRuntimeError, match="argument 'count' of forward is int"):
        load_torchscript(saved(Takes(), tmp_path / "a.pt"), ["x"], ["y"])
    (tmp_path / "b.pt").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ArtifactRuntimeError):
        load_torchscript(tmp_path / "b.pt", ["x"], ["y"])


@pytest.mark.parametrize(
    ("module", "problem"),
    [(Lacking(), "returns a NoneType, and Triton takes"), (Narrow(), "returns torch.bfloat16")],
)
def test_an_answer_that_no_server_carries_is_known_as_such(
    tmp_path: Path, module: nn.Module, problem: str
) -> None:
    run = load_torchscript(saved(module, tmp_path / "a.pt"), ["x"], ["y"])
    with pytest.raises(UnservableError, match=problem):
        run({"x": X})


def test_a_process_that_died_is_reported_and_the_next_load_starts_another(tmp_path: Path) -> None:
    path = saved(nn.Linear(3, 2), tmp_path / "a.pt")
    run = load_torchscript(path, ["x"], ["y"])
    child = clean_process._CURRENT.started()._child
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ArtifactRuntimeError, match="its process ended with status -9"):
        run({"x": X})
    assert child.status == -signal.SIGKILL
    assert load_torchscript(path, ["x"], ["y"])({"x": X})["y"].shape == (2, 2)
