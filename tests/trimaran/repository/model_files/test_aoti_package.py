"""Packages of AOTInductor are read without running them, and compared with the machine."""

from __future__ import annotations

import json
import platform
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.trimaran.repository.model_files.packages import CODE, FACTS, package_entries
from trimaran.repository.model_files.aoti_package import (
    INSTRUCTIONS,
    TORCH,
    Machine,
    find_misfit,
    read_package,
)
from trimaran.repository.model_files.call_specification import input_names, result_names
from trimaran.repository.model_files.recognition import Kind, recognise
from trimaran.system.errors import ArtifactError

FIRST = "m/data/aotinductor/first/c.so"


def packed(path: Path, changed: Mapping[str, bytes | None]) -> Path:
    entries = {**package_entries(), **changed}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def test_a_sound_package_is_known_by_its_content_and_says_its_machine(tmp_path: Path) -> None:
    path = packed(tmp_path / "model.any", {})
    assert recognise(path) is Kind.AOTI
    assert read_package(path, "here") == FACTS


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"../evil.so": b"\x7fELF"}, "paths that lead out of it"),
        ({"/evil": b""}, "paths that lead out of it"),
        ({"other/evil": b""}, "several directories at its top"),
        ({"m/data/weights/a.so.1": b""}, "a shared library in 'data/weights/a.so.1'"),
        ({"m/data/aotinductor/model/x/b.so": b""}, "a shared library in"),
        ({f"{CODE}2.wrapper.so": b"\x7fELF"}, "holds 2 shared libraries"),
        ({"m/extra/note.txt": b"\x7fELF\x02"}, "native code in 'extra/note.txt'"),
        ({"m/data/aotinductor/model/note": b"\x7fELF"}, "native code in 'data/aotinductor/model/n"),
        ({f"{CODE}.wrapper.so": None}, "no shared library for its model"),
        ({f"{CODE}.wrapper.so": None, f"{CODE}.so.txt": b"\x7fELF"}, "no shared library for"),
        ({f"{CODE}.wrapper.so": b"text"}, "no native code in its library 'data/aotinductor/model"),
        (
            {**dict.fromkeys(package_entries()), "m/archive_format": b"pt2", FIRST: b"\x7fELF"},
            "no model named 'model', which Triton loads, and has first",
        ),
        ({"m/archive_format": None}, "is no package of AOTInductor"),
        ({f"{CODE}.wrapper_metadata.json": b"[1]"}, "no metadata"),
        ({f"{CODE}.wrapper_metadata.json": b'{"a": "b"}'}, "no metadata"),
        ({f"{CODE}.wrapper_metadata.json": None}, "no metadata"),
    ],
)
def test_a_hostile_or_foreign_package_is_refused(
    tmp_path: Path, changed: Mapping[str, bytes | None], problem: str
) -> None:
    with pytest.raises(ArtifactError) as refused:
        read_package(packed(tmp_path / "model.pt2", changed), "here")
    assert str(refused.value).startswith("here: ")
    assert problem in str(refused.value)


def test_a_damaged_package_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "model.pt2", {f"{CODE}.wrapper.cpp": b"x" * 64})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"x" * 64, b"x" * 63 + b"y"))
    with pytest.raises(ArtifactError, match="is damaged; copy or export the model again"):
        read_package(path, "here")
    path.write_bytes(content[:-30])
    with pytest.raises(ArtifactError, match="damaged or cut short"):
        read_package(path, "here")


HERE = Machine("2.13.0+cpu", platform.machine(), frozenset({"avx2", "fma"}), "12.0")
CUDA = {"AOTI_DEVICE_KEY": "cuda", "AOTI_COMPUTE_CAPABILITY": "80"}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({}, None),
        ({TORCH: "2.13.0+cu130"}, None),
        ({TORCH: "2.11.0"}, "compiled with torch 2.11.0, and here is torch 2.13.0+cpu"),
        ({"AOTI_MACHINE": "mips"}, "compiled for mips, and this machine is "),
        ({"AOTI_CPU_ISA": "AVX512"}, "lacks avx512bw, avx512dq, avx512f, avx512vl"),
        ({INSTRUCTIONS: "avx2 avx512_fp16"}, "lacks avx512_fp16"),
        (CUDA, "compute capability 8.0, and this GPU has 12.0"),
        ({**CUDA, "AOTI_COMPUTE_CAPABILITY": "120"}, None),
        ({"AOTI_DEVICE_KEY": "xpu"}, "for the device xpu"),
    ],
)
def test_a_package_for_another_machine_is_refused_with_both_values(
    changed: Mapping[str, str], problem: str | None
) -> None:
    found = find_misfit({**FACTS, **changed}, HERE)
    assert found is None if problem is None else problem in (found or "")


def test_a_package_for_a_gpu_needs_one() -> None:
    without = Machine("2.13.0+cpu", platform.machine(), frozenset({"avx2", "fma"}))
    assert "and here is no GPU" in (find_misfit({**FACTS, **CUDA}, without) or "")


def spec(kind: str | None, *children: object, keys: object = None) -> dict[str, object]:
    context = "null" if keys is None else json.dumps(keys)
    return {"type": kind, "context": context, "children_spec": list(children)}


LEAF = spec(None)
TUPLE, DICT = "builtins.tuple", "builtins.dict"


def call(positional: object, keywords: object) -> str:
    return json.dumps([1, spec(TUPLE, positional, keywords)])


def test_names_are_those_of_triton() -> None:
    nested = spec(TUPLE, LEAF, spec(DICT, LEAF, spec("builtins.list", LEAF), keys=["a", "b"]))
    assert input_names(call(nested, spec(DICT, LEAF, keys=["mask"]))) == [
        "ARGS[0]",
        "ARGS[1][a]",
        "ARGS[1][b][0]",
        "KWARGSmask",
    ]
    assert result_names(json.dumps([1, LEAF])) == ["RESULT"]
    assert result_names(json.dumps([1, nested]))[1:] == ["RESULT[1][a]", "RESULT[1][b][0]"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nothing", "is no JSON"),
        ("[1]", "not a version and a tree"),
        (json.dumps([1, LEAF]), "without|not a tuple of arguments"),
        (
            call(spec(TUPLE, spec("collections.namedtuple", LEAF)), spec(DICT, keys=[])),
            "namedtuple",
        ),
        (call(spec(TUPLE, spec(DICT, LEAF, keys=[1])), spec(DICT, keys=[])), "are not texts"),
        (
            call(spec(TUPLE), spec(DICT, spec(TUPLE, LEAF), keys=["pair"])),
            "keyword argument 'pair' is not a tensor",
        ),
        (call(spec(TUPLE, 7), spec(DICT, keys=[])), "holds 'nothing'"),
    ],
)
def test_what_triton_does_not_pass_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        input_names(text)
