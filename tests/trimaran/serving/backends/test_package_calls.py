"""Packages whose call has dictionaries and keywords, served by place and by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

import trimaran
from exporters.formats.aoti import calling
from exporters.torch_state import quiet, silent_torch
from tests.programs import COMPILER, require
from tests.trimaran.serving.backends.torchscript_models import config
from tests.trimaran.serving.hosting import Model, hosted, tensor
from trimaran.repository.config import inputs_of, outputs_of
from trimaran.repository.repository import Repository
from trimaran.system.compiler import find_compiler


class Nested(nn.Module):
    def forward(self, pair: dict[str, Tensor], *, scale: Tensor) -> dict[str, Tensor]:
        return {"sum": pair["a"] + scale, "difference": pair["a"] - pair["b"]}


def compiled(path: Path) -> Path:
    rows, x = Dim("rows", min=1, max=64), torch.ones(3, 4)
    axes = {"pair": {"a": {0: rows}, "b": {0: rows}}, "scale": {0: rows}}
    call = ({"a": x, "b": x.clone()},), {"scale": x.clone()}
    with calling(find_compiler()), quiet(), silent_torch():
        program = export(Nested(), *call, dynamic_shapes=axes)
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))
    return path


@pytest.mark.long
def test_dictionaries_and_keywords_are_added_and_served(
    tmp_path: Path, empty_repository: Repository
) -> None:
    require(COMPILER)
    package = compiled(tmp_path / "nested.pt2")
    added = trimaran.add(package, empty_repository.root, trust=True).config
    assert [spec.name for spec in inputs_of(added)] == ["INPUT__0", "INPUT__1", "INPUT__2"]
    assert [spec.name for spec in outputs_of(added)] == ["OUTPUT__0", "OUTPUT__1"]

    def model(name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Model:
        tensors = [
            *(tensor("input", each, "FP32", [4]) for each in inputs),
            *(tensor("output", each, "FP32", [4]) for each in outputs),
        ]
        text = config(*tensors, batch=8, more='platform: "torch_aoti"\n')
        return Model(name, text, {"model.pt2": package.read_bytes()})

    places = ("KWARGSscale", "ARGS[0][b]", "ARGS[0][a]"), ("RESULT[difference]", "RESULT[sum]")
    numbers = ("INPUT__0", "INPUT__1", "INPUT__2"), ("OUTPUT__0", "OUTPUT__1")
    a, b, scale = (np.full((2, 4), value, np.float32) for value in (5, 3, 1))
    with hosted(
        tmp_path / "hosted", [model("place", *places), model("number", *numbers)]
    ) as server:
        by_place = server.infer("place", dict(zip(places[0], (scale, b, a), strict=True)))
        by_number = server.infer("number", dict(zip(numbers[0], (a, b, scale), strict=True)))
    np.testing.assert_array_equal(by_place["RESULT[sum]"], a + scale)
    np.testing.assert_array_equal(by_place["RESULT[difference]"], a - b)
    np.testing.assert_array_equal(by_number["OUTPUT__0"], a + scale)
    np.testing.assert_array_equal(by_number["OUTPUT__1"], a - b)
