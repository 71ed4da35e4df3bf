"""The zip archive around TorchScript, judged by its structure alone: no pickle in it is opened."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from trimaran import target
from trimaran.errors import ArtifactError

__all__ = ["require_torchscript"]

_LONGEST_VERSION = 16
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, LookupError, ValueError,
    RuntimeError,
)  # fmt: skip
"""What `zipfile` raises for archives that are damaged in one way or another."""


def require_torchscript(path: Path, where: str) -> int:
    """The file format version of a TorchScript archive.

    `where` names the file in errors. Raises `ArtifactError` for another archive, a damaged one,
    one whose entries unpack to more than it holds, and a version that is too new.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            problem = _problem([entry.filename for entry in entries])
            if problem:
                raise ArtifactError(f"{where}: {problem}")
            # Torch stores its entries as they are; anything else is made to fill the memory.
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise ArtifactError(
                    f"{where}: its entries are compressed, which torch never writes; save it again "
                    "with torch.jit.save"
                )
            damaged = archive.testzip()
            if damaged is not None:
                raise ArtifactError(
                    f"{where}: its entry {damaged!r} is damaged; copy or export the model again"
                )
            version = archive.read(f"{_root(entries[0].filename)}/version")[:_LONGEST_VERSION]
    except _DAMAGE as error:
        raise ArtifactError(
            f"{where}: is a zip archive that is damaged or cut short: {error}; copy or export it "
            "again"
        ) from error
    number = version.strip()
    if not number.isdigit():
        raise ArtifactError(f"{where}: has the file version {version!r}, which is no number")
    if int(number) > target.TORCHSCRIPT_FILE_VERSION:
        raise ArtifactError(
            f"{where}: has TorchScript's file version {int(number)}, and container "
            f"{target.CONTAINER} reads {target.TORCHSCRIPT_FILE_VERSION} at most; save it with an "
            "older torch"
        )
    return int(number)


def _problem(names: Sequence[str]) -> str | None:
    """Why an archive with these entries is no TorchScript, or `None`."""
    if not names:
        return "is an empty zip archive; export the model again"
    if any(name.startswith("/") or ".." in PurePosixPath(name).parts for name in names):
        return "is a zip archive with paths that lead out of it; export the model again"
    root = _root(names[0])
    inside = {name.partition("/")[2] for name in names if _root(name) == root}
    has_code = any(name.startswith("code/") for name in inside)
    if {"data.pkl", "constants.pkl", "version"} <= inside and has_code:
        return None
    if {"archive_format", "archive_version"} & inside or any(
        name.endswith("serialized_exported_program.json") for name in names
    ):
        return (
            "is a program of torch.export (.pt2), which Triton's pytorch backend does not serve; "
            "use 'trimaran export'"
        )
    if "data.pkl" in inside:
        return (
            "is a checkpoint of torch.save, without the model's code, and is never opened, since "
            "its pickle could run any code; describe the model to 'trimaran export'"
        )
    return (
        "is a zip archive but no TorchScript, which holds constants.pkl and code/; save the model "
        "with torch.jit.save"
    )


def _root(name: str) -> str:
    return name.partition("/")[0]
