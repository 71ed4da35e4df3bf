"""The served ensemble answers as its function and its module do in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tritonclient.grpc
import tritonclient.http
from model import network
from pipeline import my_project_prepare
from tritonclient.utils import InferenceServerException

TRITON: dict[str, Any] = {"http": tritonclient.http, "grpc": tritonclient.grpc}
ROW = json.loads((Path(__file__).parent / "request.json").read_text())["measurements"]


def ask(protocol: str, address: str, rows: list[list[float]]) -> np.ndarray:
    triton = TRITON[protocol]
    given = triton.InferInput("measurements", [len(rows), 4], "FP32")
    given.set_data_from_numpy(np.array(rows, dtype=np.float32))
    client = triton.InferenceServerClient(address)
    return client.infer("my_project", [given]).as_numpy("probabilities")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_answers_as_pytorch_does(server: dict[str, str], protocol: str) -> None:
    rows = [ROW, [6.7, 3.0, 5.2, 2.3]]
    prepared = my_project_prepare.answer(measurements=np.array(rows, dtype=np.float32))
    with torch.inference_mode():
        expected = network().module(torch.from_numpy(prepared["features"]))
    np.testing.assert_allclose(ask(protocol, server[protocol], rows), expected, atol=1e-5)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_refuses_what_is_not_finite(server: dict[str, str], protocol: str) -> None:
    with pytest.raises(InferenceServerException, match="not a finite number"):
        ask(protocol, server[protocol], [[float("nan"), *ROW[1:]]])
