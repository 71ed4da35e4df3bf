"""A file's kind is in its first bytes, whatever it is called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.exporters import model_files as files
from trimaran.repository.model_files.recognition import Kind, recognise
from trimaran.system.errors import ArtifactError


def test_kinds_are_recognised_by_content(tmp_path: Path) -> None:
    plan = tmp_path / "m.onnx"
    plan.write_bytes(b"ptrt" + bytes(20))
    assert recognise(plan) is Kind.PLAN
    assert recognise(files.write(files.weighted(), tmp_path / "m.plan")) is Kind.ONNX
    assert recognise(files.write_script(files.Affine(), tmp_path / "m.txt")) is Kind.TORCHSCRIPT


def test_bytes_that_only_begin_like_a_text_are_none(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"<\0\x08\x01")
    assert recognise(path) is Kind.ONNX


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match="is not a regular file"):
        recognise(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"\x1c\0\0\0TFL3", "a TensorFlow Lite model"),
        (b"\x1c\0\0\0ORTM", "ONNX Runtime's own ORT format"),
        (b"GGUF", "a GGUF file"),
        (bytes(257) + b"ustar", "a tar archive"),
        (b"\x93NUMPY", "a NumPy array"),
        (b'{"a": 1}', "JSON text"),
        (b"\xef\xbb\xbf\r\n [1]", "JSON text"),
        (b"<html>", "a page of HTML"),
        (b"\xef\xbb\xbf\n\t <!doctype HTML>", "a page of HTML"),
        ("\ufeff<HTML>".encode("utf-16-le"), "a page of HTML"),
        (b"\n<?xml version='1.0'?>", "a page of HTML or XML"),
        (b" Version HTTPS://git-lfs.github.com/spec/v1\r\noid", "a Git LFS pointer"),
        (b"version https://hawser.github.com/spec/v1", "a Git LFS pointer"),
        (b" \r\n\t", r"blank \(only white space\)"),
        (b"ir_version: 8\nproducer_name", "ONNX as text"),
        (b"<\0\0\0\0\0\0\0" + b'{"a":', "a safetensors file"),
        (b"<\0\0\0TFL3", "a TensorFlow Lite model"),
        (b"\x80\x04\x95", "a Python pickle"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=said):
        recognise(path)
