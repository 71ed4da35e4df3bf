"""The kind of a model file, recognised by its content and never by its suffix."""

from __future__ import annotations

import codecs
from enum import Enum
from pathlib import Path

from trimaran.repository.model_files.aoti_package import is_package
from trimaran.system.errors import ArtifactError

__all__ = ["Kind", "recognise"]

_HEAD_BYTES = 512

_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", "compressed with gzip; unpack it"),
    (0, b"BZh", "compressed with bzip2; unpack it"),
    (0, b"\xfd7zXZ", "compressed with xz; unpack it"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it"),
    (0, b"\x89HDF", "an HDF5 file, as Keras writes; convert it with tf2onnx"),
    (4, b"TFL3", "a TensorFlow Lite model; convert it with tf2onnx"),
    (4, b"ORTM", "in ONNX Runtime's own ORT format; give the ONNX file it was made from"),
    (0, b"GGUF", "a GGUF file, which no backend of this server reads"),
    (8, b'{"', "a safetensors file, weights without a graph; use 'trimaran export'"),
    (257, b"ustar", "a tar archive; unpack it"),
    (4, b'{"', "a TensorRT engine behind a header of metadata; write the plan without it"),
    (0, b"\x93NUMPY", "a NumPy array, not a model"),
)
"""Offset, the bytes there, and the kind of file that has them."""

_TEXTS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer and not the model; run 'git lfs pull'"),
    (b"version https://hawser", "a Git LFS pointer and not the model; run 'git lfs pull'"),
    (b"<", "a page of HTML or XML; download the model file itself"),
    (b"{", "JSON text; give the model file"),
    (b"[", "JSON text; give the model file"),
    (b"ir_version:", "ONNX as text; save it with onnx.save in its usual format"),
)
"""Beginnings of texts that no model file has, in lower case, after a byte order mark and white
space."""

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_PLAN_MAGIC = (b"ptrt", b"ftrt")
_PICKLE_PROTOCOLS = {bytes([0x80, version]) for version in range(2, 6)}


class Kind(Enum):
    """The kinds of file that become a version."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    AOTI = "aoti"
    PLAN = "tensorrt"


def recognise(path: Path) -> Kind:
    """The kind of a file. ONNX has no mark, so a file without any mark counts as ONNX.

    Raises `ArtifactError` for a file that is missing, empty, or marked as something else.
    """
    if not path.exists():
        raise ArtifactError(
            f"{path}: no such file; name an ONNX, TorchScript, AOTI or TensorRT file"
        )
    if path.is_dir():
        raise ArtifactError(f"{path}: is a directory; name the model file in it")
    if not path.is_file():
        raise ArtifactError(f"{path}: is not a regular file; name a model file")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise ArtifactError(f"{path}: is empty; copy or export the model again")
    if head.startswith(_ZIP_MAGIC):
        return Kind.AOTI if is_package(path) else Kind.TORCHSCRIPT
    if head.startswith(_PLAN_MAGIC):
        return Kind.PLAN
    foreign = _foreign(head)
    if foreign:
        raise ArtifactError(f"{path}: is {foreign}")
    return Kind.ONNX


def _foreign(head: bytes) -> str | None:
    if head[:2] in _PICKLE_PROTOCOLS:
        return (
            "a Python pickle, which is never opened, since that could run any code; load it where "
            "it was made and use 'trimaran export'"
        )
    marked = next((what for at, mark, what in _FOREIGN if head[at:].startswith(mark)), None)
    return marked or _foreign_text(_text(head))


def _foreign_text(text: bytes) -> str | None:
    if not text:
        return "blank (only white space); copy or export the model again"
    if b"\0" in text:
        return None
    return next((what for mark, what in _TEXTS if text.startswith(mark)), None)


def _text(head: bytes) -> bytes:
    """The head as a text would begin: without a byte order mark and white space, in lower case."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", errors="ignore").encode()
    return head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
