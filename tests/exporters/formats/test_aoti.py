"""AOTI: equal programs have equal digests, and what the package depends on is found first."""

from __future__ import annotations

import shlex
import stat
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._inductor.cpp_builder import CppBuilder, CppTorchOptions
from torch._inductor.exc import CppCompileError
from torch.utils import cpp_extension

from exporters.formats import aoti
from exporters.formats.aoti import AotiExporter, calling, compile_reason, program_digest
from exporters.formats.exporter import ExportError
from exporters.formats.onnx import OnnxExporter
from exporters.formats.program import (
    captured_once,
    captured_program,
    export_program,
    script_program,
)
from exporters.original import parity_with, run_original
from exporters.spec import ModelSpec
from exporters.torch_state import quiet
from tests import models
from tests.programs import COMPILER, require
from tests.trimaran.repository.model_files.packages import altered
from trimaran.repository.repository import Repository
from trimaran.system.compiler import find_compiler

X = torch.arange(16.0).reshape(2, 8)


class Scaled(nn.Module):
    """A graph with a constant in its code, one in a buffer, and one in a branch of its own."""

    def __init__(self, number: float = 1.25, buffer: float = 5.0, inner: float = 2.0) -> None:
        super().__init__()
        self.number, self.inner = number, inner
        self.register_buffer("buffer", torch.full((1,), buffer), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: x * self.inner, lambda x: x - 1, (x,)) * (
            self.number + self.buffer
        )


def digest(module: nn.Module, facts: dict[str, str] | None = None) -> str:
    spec = ModelSpec("scaled", module.eval(), {"x": X}, ["y"])
    return program_digest(export_program(spec), facts or {})


def test_equal_programs_have_equal_digests_and_every_value_counts() -> None:
    plain = digest(Scaled())
    export_program(models.linear())  # names must not go by what else the process did
    assert digest(Scaled()) == plain
    changed = [digest(Scaled(**{name: 1.5})) for name in ("number", "buffer", "inner")]
    assert len({plain, *changed, digest(Scaled(), {"torch": "2.0"})}) == 5


def test_the_package_is_the_one_that_was_compiled_before(
    exported: Repository, tmp_path: Path
) -> None:
    require(COMPILER)
    newest = exported.newest("linear_aoti")
    assert newest is not None
    assert newest.manifest is not None
    assert newest.manifest.target["torch"] == torch.__version__
    assert newest.manifest.target["device"] == "cpu"
    assert "instruction_set" in newest.manifest.target
    assert str(newest.manifest.target["compiler"]).strip()
    exporter = AotiExporter("cpu")
    again = tmp_path / "model.pt2"
    assert list(exporter.captures(models.linear(), again)) == ["torch.export"]
    assert again.read_bytes() == (newest.path / "model.pt2").read_bytes()


@pytest.mark.parametrize(
    ("factor", "passes"), [(1.0, True), (1.01, False)], ids=["unchanged", "1 % off"]
)
def test_a_package_with_wrong_weights_is_refused(
    exported: Repository, tmp_path: Path, factor: float, passes: bool
) -> None:
    require(COMPILER)
    newest = exported.newest("linear_aoti")
    assert newest is not None
    original = run_original(models.linear(), 8)
    weight = models.Linear().layer.weight.detach().numpy()
    wrong = (weight * factor).astype(weight.dtype)
    path = altered(
        newest.path / "model.pt2",
        tmp_path / "model.pt2",
        lambda name, held: held.replace(weight.tobytes(), wrong.tobytes()),
    )
    run = AotiExporter("cpu").load(path, original.interface)
    assert parity_with(original, run).passed is passes


def test_a_missing_compiler_is_named_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(ExportError) as refused:
        AotiExporter("cpu").require()
    assert "needs a C++ compiler, and '/nowhere/c++' cannot be run here" in str(refused.value)
    assert "apt-get install g++" in str(refused.value)


def test_the_first_error_of_a_failing_compiler_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo broken 1.0 && exit 0\n'
        "echo main.cpp: In function; echo 'main.cpp:1: fatal error: no space' >&2; exit 1\n"
    )
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("TRIMARAN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model.pt2"
    with pytest.raises(ExportError) as refused:
        list(AotiExporter("cpu").captures(models.linear(), path))
    assert "the compiler says: main.cpp:1: fatal error: no space" in str(refused.value)
    assert not path.exists()
    assert list((tmp_path / "cache" / "aoti" / "packages").iterdir()) == []


@pytest.mark.long
def test_a_package_with_a_library_of_its_compilers_own_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(COMPILER)
    compiler = tmp_path / "g++"
    found = shlex.quote(str(find_compiler().path))
    compiler.write_text(
        f'#!/bin/sh\ncase " $* " in *" -shared "*) exec {found} "$@" -static-libstdc++;; esac\n'
        f'exec {found} "$@"\n'
    )
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("TRIMARAN_CACHE", str(tmp_path / "cache"))
    original = run_original(models.linear(), 8)
    path, exporter = tmp_path / "model.pt2", AotiExporter("cpu")
    list(exporter.captures(original.spec, path))
    assert b"libstdc++.so" not in library(path)
    assert parity_with(original, exporter.load(path, original.interface)).passed


def library(package: Path) -> bytes:
    """The native code of a package."""
    with zipfile.ZipFile(package) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        return archive.read(name)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            "m.cpp: In function f:\nm.cpp:1: error: no x\nm.cpp:2: error: no y",
            "m.cpp:1: error: no x",
        ),
        ("ld: cannot find -ltorch\ncollect2: error: ld returned 1", "ld: cannot find -ltorch"),
        ("Killed", "Killed"),
    ],
)
def test_of_a_compilers_output_the_first_complaint_counts(output: str, said: str) -> None:
    reason = compile_reason(CppCompileError(["g++"], output), models.linear())
    assert reason == f"the compiler says: {said}"


def test_torchs_libraries_may_lie_below_a_path_with_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaced = tmp_path / "my work" / "lib"
    spaced.mkdir(parents=True)
    monkeypatch.setattr(cpp_extension, "TORCH_LIB_PATH", str(spaced))
    require(COMPILER)
    with calling(find_compiler()), quiet():  # torch warns of absent headers of Python
        options = CppTorchOptions()
        command = CppBuilder("x", [str(tmp_path / "x.cpp")], options).get_command_line()
    assert str(spaced) == cpp_extension.TORCH_LIB_PATH
    (alias,) = (
        Path(word[2:])
        for word in shlex.split(command)
        if word.startswith("-L") and Path(word[2:]).resolve() == spaced
    )
    alias.unlink()


def test_what_torch_export_refuses_is_refused_with_the_reason(tmp_path: Path) -> None:
    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + len([row for row in x.tolist() if row[0] > 0])

    spec = ModelSpec("counts", Counts(), {"x": X}, ["y"])
    with pytest.raises(ExportError, match=r"counts cannot be captured by torch\.export: .*"):
        list(AotiExporter("cpu").captures(spec, tmp_path / "model.pt2"))


def test_only_the_last_packages_are_kept(tmp_path: Path) -> None:
    for number in range(aoti.KEPT_PACKAGES + 2):
        (tmp_path / f"{number:03}.pt2").touch()
    aoti.forget_oldest(tmp_path)
    assert len(list(tmp_path.iterdir())) == aoti.KEPT_PACKAGES


def test_a_model_is_captured_once_for_all_formats(tmp_path: Path) -> None:
    spec = ModelSpec("scaled", models.Linear(), {"x": X}, ["y"])
    with captured_once(), quiet():
        program = captured_program(spec)
        before = program_digest(program, {})
        assert list(OnnxExporter().captures(spec, tmp_path / "model.onnx"))
        assert script_program(captured_program(spec)) is not None
        assert captured_program(spec) is program
        assert program_digest(program, {}) == before
    assert captured_program(spec) is not program


def test_what_cannot_be_captured_is_tried_once() -> None:
    spec = models.branches()
    with captured_once():
        with pytest.raises(Exception, match="guard") as first:
            captured_program(spec)
        with pytest.raises(Exception, match="guard") as second:
            captured_program(spec)
    assert second.value is first.value
