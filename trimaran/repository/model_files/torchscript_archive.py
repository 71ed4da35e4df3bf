"""The zip archive around TorchScript, judged by its structure alone: no pickle in it is opened.

Torch stores weights as they are and deflates code of more than 200 bytes (`kMinToCompress` in
torch's `jit/serialization/export_module.cpp`). Its reader, miniz, knows no other compression.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from trimaran.repository import target
from trimaran.repository.model_files.zip_contents import VERSIONS, find_foreign, root_of
from trimaran.system.errors import ArtifactError

__all__ = ["require_torchscript"]

_LONGEST_VERSION = 16
_MOST_INFLATED_BYTES = 2**28
"""How much more than it holds an archive may unpack to: the code of the largest models is some
megabytes, and weights hardly shrink."""
_FREE_BYTES = 2**24
_MOST_RATIO = 100
"""To what multiple an entry of more than 16 MiB may unpack; code shrinks to a third or a tenth."""
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, LookupError, ValueError,
    RuntimeError,
)  # fmt: skip
"""What `zipfile` raises for archives that are damaged in one way or another."""


def require_torchscript(path: Path, where: str) -> int:
    """The file format version of a TorchScript archive.

    `where` names the file in errors. Every entry is unpacked piece by piece and held against its
    checksum. Raises `ArtifactError` for another archive, a damaged one, one that would fill the
    memory of whoever unpacks it, and a version that is too new.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            foreign = find_foreign([entry.filename for entry in entries])
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
            names, root = archive.namelist(), root_of(entries[0].filename)
            place = next(p for v in VERSIONS if (p := f"{root}/{v}") in names)
            with archive.open(place) as file:
                version = file.read(_LONGEST_VERSION)
    except _DAMAGE as error:
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
    """Why an archive of `size` bytes is not to be unpacked, by what its directory says of it."""
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
