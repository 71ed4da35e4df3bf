"""The native ONNX backend is compiled once, and does without where it cannot be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.programs import COMPILER, require
from trimaran.serving.native.building import compile_backend, native_backend
from trimaran.serving.runtime import ONNX_BACKEND, OnnxBackend, find_runtime
from trimaran.system.compiler import find_compiler
from trimaran.system.errors import TrimaranError, UsageError

VERSION = "2.51.0"


def compiler(folder: Path, does: str) -> Path:
    """A program that says its version as a compiler does, and else does something."""
    path = folder / "c++"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "c++ 1.0" && exit\n{does}\n')
    path.chmod(0o755)
    return path


def test_the_sources_compile_without_a_warning(tmp_path: Path) -> None:
    require(COMPILER)
    wanted = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
    compile_backend(find_compiler(), tmp_path / "out", ("-std=c++17", "-fsyntax-only", *wanted))


def test_processes_that_need_it_at_once_compile_it_once_and_anew_where_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(COMPILER)
    made = native_backend(VERSION, download=False)
    calls = tmp_path / "calls"
    copying = f'echo call >> "{calls}"; sleep 0.2; for o; do :; done; cp "{made.library}" "$o"'
    monkeypatch.setenv("CXX", str(compiler(tmp_path, copying)))
    monkeypatch.setenv("TRIMARAN_CACHE", str(tmp_path / "cache"))
    with ThreadPoolExecutor(3) as pool:
        found = set(pool.map(lambda _: native_backend(VERSION, download=False), range(3)))
    (backend,) = found
    assert backend.library.read_bytes() == made.library.read_bytes()
    assert backend.onnx_runtime.name.startswith("libonnxruntime.so.")
    assert calls.read_text().split() == ["call"]
    assert native_backend("2.52.0", download=False).library != backend.library

    backend.library.write_text("another file")
    again = native_backend(VERSION, download=False)
    assert again.library.read_bytes() == made.library.read_bytes()


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("echo 'tensors.cc:7: error: no such thing' >&2; exit 1", "error: no such thing"),
        ('for o; do :; done; echo text > "$o"', "file too short|invalid ELF header"),
    ],
    ids=["fails", "makes nonsense"],
)
def test_a_compiler_that_cannot_make_it_leaves_python_in_place(
    does: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", str(compiler(tmp_path, does)))
    runtime = find_runtime(onnx_backend=OnnxBackend.auto)
    assert runtime.onnx_backend is OnnxBackend.python
    assert "onnxruntime" in runtime.stub_backends
    assert f"{tmp_path}/c++ failed: " in runtime.note
    with pytest.raises(TrimaranError, match=words):
        find_runtime(onnx_backend=OnnxBackend.native)


def test_without_a_compiler_one_line_says_what_would_be_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++")
    runtime = find_runtime(onnx_backend=OnnxBackend.auto)
    assert runtime.onnx_backend is OnnxBackend.python
    assert "'/nowhere/c++' cannot be run here" in runtime.note
    assert "which needs a C++ compiler such as Debian's g++, starts sooner" in runtime.note


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "native").write_text("in the way")
    monkeypatch.setenv("TRIMARAN_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", str(compiler(tmp_path, "exit 1")))
    with pytest.raises(TrimaranError, match=f"{tmp_path}/native cannot be written"):
        native_backend(VERSION, download=False)


def test_the_environment_chooses_where_no_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ONNX_BACKEND, "python")
    assert find_runtime().onnx_backend is OnnxBackend.python
    monkeypatch.setenv(ONNX_BACKEND, "rust")
    with pytest.raises(UsageError, match="'rust'; give auto, native, python"):
        find_runtime()
