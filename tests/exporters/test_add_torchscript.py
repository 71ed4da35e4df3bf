"""`trimaran add` of TorchScript, whose inputs the user declares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from serving.client import Client
from serving.discovery import find_runtime
from serving.server import private_server
from tests.exporters import model_files as files
from tests.exporters.adding_files import AFFINE, add, tensors
from trimaran.repository import Repository


class Scalar(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum()


class Mapped(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"y": x}


class Defaulted(nn.Module):
    def forward(self, x: Tensor, times: int = 2) -> Tensor:
        return x * times


class Complex(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x)


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        (files.Affine(), ("--input", "image:FP32[-1,3]"), "forward takes image, scale, and 1"),
        (files.Affine(), (*AFFINE[:3], "size:FP32[-1,1]"), "and not size"),
        (files.Affine(), ("--input", "image:FP32[-1,7]", *AFFINE[2:]), "fails on made-up inputs"),
        (files.Affine(), (*AFFINE, "--output", "logits"), "returns 2 outputs, and 1 were named"),
        (files.Affine(), (*AFFINE[:3], "scale:BF16[-1,1]"), "scale BF16 [-1, 1] has a dtype"),
        (files.Affine(), (*AFFINE[:3], "scale:FP32[]"), "scale FP32 [] is a scalar"),
        (
            files.Affine(),
            (*AFFINE, "--output", "a__1", "--output", "b__0"),
            "number all from 0 in forward's order",
        ),
        (files.Affine(), (*AFFINE, "--output", "a__0", "--output", "b"), "the outputs are named"),
        (Scalar(), ("--input", "x:FP32[-1,2]"), "output 0 is a scalar"),
        (Mapped(), ("--input", "x:FP32[-1,2]"), "forward returns a dict"),
        (Defaulted(), ("--input", "x:FP32[-1,2]"), "argument 'times' of forward is int"),
        (Complex(), ("--input", "x:FP32[-1,2]"), "forward returns torch.complex64"),
    ],
)
def test_torchscript_that_cannot_be_served_as_declared(
    empty_repository: Repository,
    tmp_path: Path,
    module: nn.Module,
    options: tuple[str, ...],
    said: str,
) -> None:
    result = add(empty_repository, files.write_script(module, tmp_path / "m.pt"), *options)
    assert result.status == 1
    assert said in result.error
    assert empty_repository.names() == []


def test_inputs_may_be_named_by_their_positions(
    empty_repository: Repository, tmp_path: Path
) -> None:
    path = files.write_script(files.Affine(), tmp_path / "m.pt")
    swapped = ("--input", "b__1:FP32[-1,1]", "--input", "a__0:FP32[-1,3]")
    named = ("--output", "c__0", "--output", "d__1")
    result = add(empty_repository, path, *swapped, *named)
    assert result.status == 0, result.stderr
    found = [text.split()[0] for text in tensors(empty_repository, "m")]
    assert found == ["a__0", "b__1", "c__0", "d__1"]


class Stretched(nn.Module):
    """Text of any length to a value per token, and text beside it."""

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return tokens.float() * 2, tokens.sum(1, keepdim=True)


def test_outputs_of_torchscript_follow_open_axes(
    empty_repository: Repository, tmp_path: Path
) -> None:
    path = files.write_script(Stretched(), tmp_path / "m.pt")
    named = ("--output", "twice:FP32[-1,-1]", "--output", "sums")
    result = add(empty_repository, path, "--input", "tokens:INT64[-1,-1]", *named)
    assert result.status == 0, result.stderr
    assert tensors(empty_repository, "m") == [
        "tokens__0 INT64 [-1]",
        "twice__0 FP32 [-1]",
        "sums__1 INT64 [1]",
    ]


class Texts(nn.Module):
    def forward(self, words: list[str]) -> list[str]:
        return [word + "!" for word in words]


class Dictionary(nn.Module):
    def forward(self, x: dict[str, Tensor]) -> Tensor:
        return x["a"] - x["b"]


def test_torchscript_of_texts_and_of_a_dictionary_is_served(
    empty_repository: Repository, tmp_path: Path
) -> None:
    texts = files.write_script(Texts(), tmp_path / "texts.pt")
    pair = files.write_script(Dictionary(), tmp_path / "pair.pt")
    for path, inputs in ((texts, ["words:BYTES[-1]"]), (pair, ["a:INT64[-1,2]", "b:INT64[-1,2]"])):
        options = [option for text in inputs for option in ("--input", text)]
        result = add(empty_repository, path, *options)
        assert result.status == 0, result.stderr
    assert tensors(empty_repository, "texts") == [
        "words__0 BYTES [1] reshaped to []",
        "output__0 BYTES [1] reshaped to []",
    ]
    names = empty_repository.names()
    with (
        private_server(find_runtime(), empty_repository, names) as server,
        Client(server.ports) as client,
    ):
        words = np.array([[b"a"], [b"b"]], dtype=object)
        answer = client.infer("texts", {"words__0": words}).outputs["output__0"]
        assert answer.tolist() == [[b"a!"], [b"b!"]]
        a, b = np.array([[5, 6]]), np.array([[1, 2]])
        answer = client.infer("pair", {"a": a, "b": b}).outputs["output__0"]
        assert answer.tolist() == [[4, 4]]
