"""What a zip archive is, by the names in it: model formats that are one, and files packed in one.

TorchScript's layout is that of torch's `caffe2/serialize` and `jit/serialization`: one directory
with `data.pkl`, `constants.pkl` and `code/`, or `model.json` instead of the pickles before torch
1.4; and the file version in `.data/version`, or in `version` below 6, which operators that never
changed, as in most models without GELU, still get.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

__all__ = ["VERSIONS", "find_foreign", "root_of"]

VERSIONS = (".data/version", "version")
"""Where an archive's file version lies, the newer place first, as torch's reader looks for it."""

_MODEL_SUFFIXES = (".onnx", ".pt", ".pth", ".ts", ".jit", ".plan", ".engine")


def root_of(name: str) -> str:
    """The first part of an entry's name: torch writes all under one directory."""
    return name.partition("/")[0]


def find_foreign(names: Sequence[str]) -> str | None:
    """What an archive with these entries is instead of TorchScript, and the remedy, or `None`."""
    if not names:
        return "is an empty zip archive; export the model again"
    if any(name.startswith("/") or ".." in PurePosixPath(name).parts for name in names):
        return "is a zip archive with paths that lead out of it; export the model again"
    root = root_of(names[0])
    inside = {name.partition("/")[2] for name in names if root_of(name) == root}
    if _is_torchscript(inside):
        return None
    return _torch_archive(inside, names) or _other_archive(set(names))


def _is_torchscript(inside: set[str]) -> bool:
    has_code = any(name.startswith("code/") for name in inside)
    return (
        has_code
        and not inside.isdisjoint(VERSIONS)
        and ({"data.pkl", "constants.pkl"} <= inside or "model.json" in inside)
    )


def _torch_archive(inside: set[str], names: Sequence[str]) -> str | None:
    if {"archive_format", "archive_version"} & inside or any(
        name.endswith("serialized_exported_program.json") for name in names
    ):
        return (
            "is a program of torch.export (.pt2), which Triton's pytorch backend does not serve "
            "as TorchScript; use 'trimaran export'"
        )
    if {".data/extern_modules", ".data/python_version"} & inside:
        return (
            "is a package of torch.package, whose code is Python; load it where it was made and "
            "use 'trimaran export'"
        )
    if "data.pkl" in inside:
        return (
            "is a checkpoint of torch.save, without the model's code, and is never opened, since "
            "its pickle could run any code; describe the model to 'trimaran export'"
        )
    return None


def _other_archive(names: set[str]) -> str:
    files = sorted(name for name in names if not name.endswith("/"))
    if all(name.endswith(".npy") for name in files):
        return "is NumPy's .npz, arrays and no model; give the model file"
    if any(name.startswith("MAR-INF/") for name in names):
        return (
            "is a model archive of TorchServe (.mar); unpack it and give the model file in it, if "
            "that is TorchScript"
        )
    if {"config.json", "model.weights.h5"} <= names:
        return "is a Keras model (.keras); convert it with tf2onnx"
    if any(name.endswith(".mlmodel") for name in names):
        return "is a Core ML package; export the model to ONNX"
    model = next((name for name in files if name.lower().endswith(_MODEL_SUFFIXES)), None)
    if model is not None:
        return f"is a zip archive around {model!r}; unpack it and give that file"
    if any(name.lower().endswith(".zip") for name in files):
        return "is a zip archive around another; unpack both and give the model file"
    return (
        "is a zip archive but no TorchScript, which holds constants.pkl and code/; save the model "
        "with torch.jit.save"
    )
