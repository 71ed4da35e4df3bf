"""The served ensemble gives a photograph the label that the module gives it in this process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import tritonclient.grpc
import tritonclient.http
from model import SETTINGS, network
from tritonclient.utils import InferenceServerException

from trimaran.served.decoding import decode, prepare
from trimaran.training.image_data import class_names, photographs

TRITON: dict[str, Any] = {"http": tritonclient.http, "grpc": tritonclient.grpc}


def ask(protocol: str, address: str, image: bytes) -> dict[str, np.ndarray]:
    triton = TRITON[protocol]
    given = triton.InferInput("IMAGE", [1, 1], "BYTES")
    given.set_data_from_numpy(np.array([[image]], dtype=object))
    answer = triton.InferenceServerClient(address).infer("my_project", [given])
    return {name: answer.as_numpy(name) for name in ("LABEL", "PROBABILITY")}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_answers_as_pytorch_does(server: dict[str, str], protocol: str) -> None:
    photograph = photographs()["chelsea.png"]
    pixels = torch.from_numpy(prepare(decode(photograph), SETTINGS)[None])
    with torch.inference_mode():
        probabilities = network().module(pixels).softmax(dim=1)[0]
    best = int(probabilities.argmax())
    answer = ask(protocol, server[protocol], photograph)
    assert answer["LABEL"][0, 0].decode() == class_names()[best]
    assert answer["PROBABILITY"][0, 0] == pytest.approx(float(probabilities[best]), abs=1e-3)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_refuses_what_is_no_photograph(server: dict[str, str], protocol: str) -> None:
    with pytest.raises(InferenceServerException, match="is not a JPEG, PNG or WebP file"):
        ask(protocol, server[protocol], b"no photograph")
