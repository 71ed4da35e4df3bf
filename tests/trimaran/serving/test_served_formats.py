"""Every format, served by the real Triton over both protocols, equal in-process PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import models
from tests.programs import COMPILER, require
from tests.running import Served
from trimaran.serving.client import Protocol

PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("linear_onnx", ("x", "y")),
        ("linear_torchscript", ("x__0", "y__0")),
        ("linear_aoti", ("INPUT__0", "OUTPUT__0")),
    ],
)
@pytest.mark.parametrize("rows", [1, 3, 32])
def test_linear_equals_pytorch(
    served: Served, name: str, names: tuple[str, str], protocol: Protocol, rows: int
) -> None:
    if name == "linear_aoti":
        require(COMPILER)
    x = np.random.default_rng(rows).normal(size=(rows, 8)).astype(np.float32)
    with torch.no_grad():
        expected = models.Linear()(torch.from_numpy(x)).numpy()
    with served.client(protocol) as client:
        answer = client.infer(name, {names[0]: x})
    np.testing.assert_allclose(answer.outputs[names[1]], expected, rtol=1e-4, atol=1e-6)
