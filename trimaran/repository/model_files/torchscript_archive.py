"""The zip archive around TorchScript, checked by its structure alone: no pickle is opened.

Torch stores weights as they are and deflates code of more than 200 bytes (`kMinToCompress` in
torch's `jit/serialization/export_module.cpp`). Its reader, miniz, knows no other compression.

The layout is that of torch's `caffe2/serialize` and `jit/serialization`: one directory with
`data.pkl`, `constants.pkl` and `code/`, or with `model.json` instead of the pickles before torch
1.4. The file version is in `.data/version`, or in `version` if it is below 6, which operators that
never changed, as in most models without GELU, still get.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from trimaran.repository import target
from trimaran.system.errors import ArtifactError

__all__ = ["DAMAGE", "find_bomb", "leads_out", "require_torchscript"]

_VERSIONS = (".data/version", "version")
"""The places of an archive's file version, the newer one first, as torch's reader looks for it."""
_MODEL_SUFFIXES = (".onnx", ".pt", ".pth", ".ts", ".jit", ".plan", ".engine")
_LONGEST_VERSION = 16
_MOST_INFLATED_BYTES = 2**28
"""How much more than it holds an archive may unpack to: the code of the largest models is some
megabytes, and weights barely shrink."""
_FREE_BYTES = 2**24
_MOST_RATIO = 100
"""To what multiple an entry of more than 16 MiB may unpack; code shrinks to a third or a tenth."""
DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, LookupError, ValueError,
    RuntimeError,
)  # fmt: skip
"""What `zipfile` raises for archives that are damaged in one way or another."""


def require_torchscript(path: Path, where: str) -> int:
    """The file format version of a TorchScript archive.

    `where` names the file in errors. Every entry is unpacked piece by piece and compared with
    its checksum. Raises `ArtifactError` for another archive, a damaged one, one that would fill the
    memory when it is unpacked, and a version that is too new.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            foreign = _find_foreign([entry.filename for entry in entries])
            if foreign:
                raise ArtifactError(f"{where}: {foreign}")
            problem = find_bomb(entries, path.stat().st_size)
            if problem:
                raise ArtifactError(f"{where}: {problem}; save it again with torch.jit.save")
            damaged = archive.testzip()
            if damaged is not None:
                raise ArtifactError(
                    f"{where}: its entry {damaged!r} is damaged; copy or export the model again"
                )
            names, root = archive.namelist(), _root_of(entries[0].filename)
            place = next(p for v in _VERSIONS if (p := f"{root}/{v}") in names)
            with archive.open(place) as file:
                version = file.read(_LONGEST_VERSION)
    except DAMAGE as error:
        raise ArtifactError(
            f"{where}: is a zip archive that is damaged or cut short: {error}; copy or export it "
            "again"
        ) from error
    number = version.strip()
    if not number.isdigit():
        raise ArtifactError(
            f"{where}: has the file version {version!r}, which is no number; save it again with "
            "torch.jit.save"
        )
    if int(number) > target.TORCHSCRIPT_FILE_VERSION:
        raise ArtifactError(
            f"{where}: has TorchScript's file version {int(number)}, and container "
            f"{target.CONTAINER} reads {target.TORCHSCRIPT_FILE_VERSION} at most; save it with an "
            "older torch"
        )
    return int(number)


def find_bomb(entries: Sequence[zipfile.ZipInfo], size: int) -> str | None:
    """Why an archive of `size` bytes must not be unpacked, according to its directory."""
    for entry in entries:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"its entry {entry.filename!r} is compressed in a way that torch cannot read"
        if entry.file_size > max(_FREE_BYTES, _MOST_RATIO * entry.compress_size):
            return (
                f"its entry {entry.filename!r} unpacks from {entry.compress_size} to "
                f"{entry.file_size} bytes, which no model does"
            )
    if sum(entry.compress_size for entry in entries) > size:
        return "its entries overlap one another, which torch never writes"
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > size + _MOST_INFLATED_BYTES:
        return f"its entries unpack from {size} to {unpacked} bytes, which no model does"
    return None


def leads_out(names: Sequence[str]) -> bool:
    """Whether an entry would be unpacked outside the directory that an archive is unpacked in."""
    return any(name.startswith("/") or ".." in PurePosixPath(name).parts for name in names)


def _root_of(name: str) -> str:
    """The first part of an entry's name: torch writes all under one directory."""
    return name.partition("/")[0]


def _find_foreign(names: Sequence[str]) -> str | None:
    """What an archive with these entries is instead of TorchScript, and the remedy, or `None`."""
    if not names:
        return "is an empty zip archive; export the model again"
    if leads_out(names):
        return "is a zip archive with paths that lead out of it; export the model again"
    root = _root_of(names[0])
    inside = {name.partition("/")[2] for name in names if _root_of(name) == root}
    if _is_torchscript(inside):
        return None
    return _torch_archive(inside, names) or _other_archive(set(names))


def _is_torchscript(inside: set[str]) -> bool:
    has_code = any(name.startswith("code/") for name in inside)
    return (
        has_code
        and not inside.isdisjoint(_VERSIONS)
        and ({"data.pkl", "constants.pkl"} <= inside or "model.json" in inside)
    )


def _torch_archive(inside: set[str], names: Sequence[str]) -> str | None:
    if {"archive_format", "archive_version"} & inside or any(
        name.endswith("serialized_exported_program.json") for name in names
    ):
        return (
            "is a program of torch.export (.pt2) that is not compiled, and Triton serves compiled "
            "ones; compile it with torch._inductor.aoti_compile_and_package, or use 'trimaran "
            "export --format aoti'"
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
        return "is NumPy's .npz, which holds arrays, not a model; give the model file"
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
        "is a zip archive but not TorchScript, which holds constants.pkl and code/; save the model "
        "with torch.jit.save"
    )
