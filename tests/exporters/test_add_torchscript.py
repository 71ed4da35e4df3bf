"""`trimaran add` of TorchScript, whose inputs the user declares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters.torch_state import quiet
from tests.exporters import model_files as files
from tests.exporters.adding_files import AFFINE, add, tensors
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import private_server


class Scalar(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum()


class Mapped(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"y": x}


class Defaulted(nn.Module):
    def forward(self, x: Tensor, times: int = 2) -> Tensor:
        return x * times


class Optionally(nn.Module):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return x


class Nested(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return x * 2, (x * 3, x * 4)


class Nothing(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return x, None


class OnGpu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.zeros(3, device="cuda:0")


class Counting(nn.Module):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return x * self.count


class Methods(nn.Module):
    @torch.jit.export
    def embed(self, x: Tensor) -> Tensor:
        return x


class Complex(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x)


X = ("--input", "x:FP32[-1,2]")


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
        (Mapped(), X, "forward returns Dict[str, Tensor], and Triton's pytorch backend takes"),
        (Mapped(), X, "returns a tuple of tensors instead"),
        (Nested(), X, "forward returns Tuple[Tensor, Tuple[Tensor, Tensor]]"),
        (Nothing(), X, "forward returns a NoneType in a tuple"),
        (Defaulted(), X, "argument 'times' of forward is int"),
        (Defaulted(), X, "forward takes these alone and fixes times"),
        (Optionally(), X, "argument 'mask' of forward is Optional[Tensor]"),
        (OnGpu(), X, "its code names the GPU cuda:0"),
        (Counting(), X, "gives different answers in 'output__0' when run again"),
        (Methods(), X, "has no method forward"),
        (Complex(), X, "forward returns torch.complex64"),
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
    assert ("--sample" in result.error) is (said == "fails on made-up inputs")
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
    """Text of any length to a value per token, and text with it."""

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


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        frames = x.unfold(1, 400, 160)
        return frames.square().mean(2)


def test_an_axis_that_a_stride_shortens_stays_open(
    empty_repository: Repository, tmp_path: Path
) -> None:
    path = files.write_script(Spectrum(), tmp_path / "m.pt")
    result = add(empty_repository, path, "--input", "x:FP32[-1,-1]")
    assert result.status == 0, result.stderr
    assert tensors(empty_repository, "m") == ["x__0 FP32 [-1]", "output__0 FP32 [-1]"]


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def test_a_module_in_training_mode_is_named_as_such_where_that_matters(
    empty_repository: Repository, tmp_path: Path
) -> None:
    with quiet():
        torch.jit.save(torch.jit.script(Dropping().train()), str(tmp_path / "m.pt"))
        torch.jit.save(torch.jit.script(Spread().train()), str(tmp_path / "n.pt"))
    result = add(empty_repository, tmp_path / "m.pt", *X)
    assert result.status == 1
    assert "was saved in training mode (dropout as in training)" in result.error
    assert "; call .eval() on the module" in result.error
    assert add(empty_repository, tmp_path / "n.pt", *X).status == 0


class Spread(nn.Module):
    """Its rows depend on one another, and its values are tiny."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(0)) * 1e-5


class Sound(nn.Module):
    """Large values, a batch norm, dropout that is off, and code of more than 200 bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) * 1e5


@pytest.mark.parametrize(("module", "limit"), [(Spread(), 0), (Sound(), 32)])
def test_rows_are_compared_on_the_scale_of_their_answers(
    empty_repository: Repository, tmp_path: Path, module: nn.Module, limit: int
) -> None:
    path = files.write_script(module, tmp_path / "m.pt")
    result = add(empty_repository, path, *X)
    assert result.status == 0, result.stderr
    assert empty_repository.config("m").max_batch_size == limit
    assert ("depends on the rows next to it" in result.stdout) is (limit == 0)


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
        Client(server.endpoint) as client,
    ):
        words = np.array([[b"a"], [b"b"]], dtype=object)
        answer = client.infer("texts", {"words__0": words}).outputs["output__0"]
        assert answer.tolist() == [[b"a!"], [b"b!"]]
        a, b = np.array([[5, 6]]), np.array([[1, 2]])
        answer = client.infer("pair", {"a": a, "b": b}).outputs["output__0"]
        assert answer.tolist() == [[4, 4]]


class Found(nn.Module):
    """As many rows as are above 0.9: how many is in the values."""

    def forward(self, x: Tensor) -> Tensor:
        return x[x[:, 0] > 0.9]


def test_an_axis_whose_length_is_in_the_values_is_declared_open(
    empty_repository: Repository, tmp_path: Path
) -> None:
    path = files.write_script(Found(), tmp_path / "m.pt")
    options = ("--input", "x:FP32[5,2]")
    result = add(empty_repository, path, *options)
    assert result.status == 1
    assert "on other inputs; open the axis with --output name:dtype[shape]" in result.error
    result = add(empty_repository, path, *options, "--output", "rows:FP32[-1,2]")
    assert result.status == 0, result.stderr
    assert tensors(empty_repository, "m") == ["x__0 FP32 [5, 2]", "rows__0 FP32 [-1, 2]"]
