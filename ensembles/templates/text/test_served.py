"""The served ensemble tells praise from complaints, over both protocols alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import tritonclient.grpc
import tritonclient.http
from model import COMPLAINTS, PRAISE, network
from pipeline import my_project_words
from tritonclient.utils import InferenceServerException

TRITON: dict[str, Any] = {"http": tritonclient.http, "grpc": tritonclient.grpc}


def ask(protocol: str, address: str, texts: list[str]) -> np.ndarray:
    triton = TRITON[protocol]
    given = triton.InferInput("text", [len(texts), 1], "BYTES")
    given.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=object))
    client = triton.InferenceServerClient(address)
    return client.infer("my_project", [given]).as_numpy("praise")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_answers_as_pytorch_does(server: dict[str, str], protocol: str) -> None:
    texts = [PRAISE[0], COMPLAINTS[0], "the delivery was fast"]
    given = np.array([[text.encode()] for text in texts], dtype=object)
    words = torch.from_numpy(my_project_words.answer(text=given)["words"])
    module = network().module
    with torch.inference_mode():
        expected = module(words)
    answer = ask(protocol, server[protocol], texts)
    np.testing.assert_allclose(answer, expected, atol=1e-4)
    assert answer[0, 0] > 0.5 > answer[1, 0]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_refuses_a_text_without_a_word(server: dict[str, str], protocol: str) -> None:
    with pytest.raises(InferenceServerException, match="has no word"):
        ask(protocol, server[protocol], ["..."])
