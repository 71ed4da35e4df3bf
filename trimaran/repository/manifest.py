"""The content and origin of a version: `manifest.json` in the version directory."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from trimaran.system.errors import TrimaranError
from trimaran.system.files import sha256_of, write_text

__all__ = [
    "ENSEMBLE_SOURCE",
    "MANIFEST_NAME",
    "FileEntry",
    "Manifest",
    "content_digest",
    "describe_files",
    "describe_version",
    "git_commit",
    "library_versions",
    "now",
]

MANIFEST_NAME = "manifest.json"
ENSEMBLE_SOURCE = "ensemble"
"""The key of `source` with the ensemble that a version was made for, if it was made for one."""
_SCHEMA = 1


@dataclass(frozen=True)
class FileEntry:
    """One file of a version: hexadecimal SHA-256 and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """The record of one version.

    `content` is the digest that makes publishing idempotent. Equal content has an equal digest,
    even if meaningless bytes differ, such as names that torch numbers. `parity` holds the rows of
    the parity gate; it is empty for a model without an original to compare with. `beat` is what a
    version was chosen over by `trimaran optimize`, each with its figures or why it was refused; it
    is empty where nothing was chosen.
    """

    format: str
    content: str
    files: Mapping[str, FileEntry]
    source: Mapping[str, str]
    libraries: Mapping[str, str]
    target: Mapping[str, str | int] = field(default_factory=dict)
    parity: list[dict[str, Any]] = field(default_factory=list)
    created_at: str = ""
    beat: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ensemble(self) -> str | None:
        """The only ensemble that may have this version as a step; None for any."""
        return self.source.get(ENSEMBLE_SOURCE)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files.values())

    def write(self, directory: Path) -> None:
        """Write `manifest.json` into a version directory."""
        text = json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=2, sort_keys=True)
        write_text(directory / MANIFEST_NAME, text + "\n")

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """The manifest of a version directory. Raises `TrimaranError` if there is none to read."""
        path = directory / MANIFEST_NAME
        if path.exists() and not path.is_file():
            raise TrimaranError(f"{path}: is not a file")
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record.pop("schema") != _SCHEMA:
                raise TrimaranError(f"{path}: written by a newer trimaran; update this one")
            record["files"] = {name: FileEntry(**item) for name, item in record["files"].items()}
            found = cls(**record)
            found._check_types()
            return found
        except FileNotFoundError as error:
            raise TrimaranError(f"{directory}: has no {MANIFEST_NAME}") from error
        except RecursionError:
            raise TrimaranError(f"{path}: is not a manifest: it is nested too deeply") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise TrimaranError(f"{path}: is not a manifest: {error}") from error

    def _check_types(self) -> None:
        """Refuse what a hand may have written. Raises `TypeError`."""
        texts = [self.format, self.content, self.created_at]
        texts += [*self.source.values(), *self.libraries.values()]
        texts += [entry.sha256 for entry in self.files.values()]
        numbers = [entry.size for entry in self.files.values()]
        numbers += [row.get("largest_error", 0.0) for row in self.parity]
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"{text!r} is not text")
        for number in numbers:
            if not isinstance(number, int | float):
                raise TypeError(f"{number!r} is not a number")

    def damage(self, directory: Path, *, hashes: bool = False) -> str | None:
        """Which of the recorded files is missing or altered, or `None`.

        Sizes are always compared; SHA-256 when `hashes` is set.
        """
        for name, entry in sorted(self.files.items()):
            path = directory / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != entry.size:
                return f"{name} has {path.stat().st_size} bytes, not the published {entry.size}"
            if hashes and sha256_of(path) != entry.sha256:
                return f"{name} was altered after it was published"
        return None


def describe_version(
    directory: Path,
    format: str,
    checkout: Path,
    *,
    source: Mapping[str, str] | None = None,
    libraries: Sequence[str] = (),
    canonical: Mapping[str, str] | None = None,
    target: Mapping[str, str | int] | None = None,
    parity: Sequence[Mapping[str, Any]] = (),
) -> Manifest:
    """The manifest of a staged version: its files, its origin, and the current time.

    `checkout` is where the Git commit is looked up; `libraries` are recorded along with
    trimaran itself; `canonical` has digests that are used instead of those of a file's bytes.
    """
    files = describe_files(directory)
    return Manifest(
        format=format,
        content=content_digest(files, canonical or {}),
        files=files,
        source={**(source or {}), "git_commit": git_commit(checkout)},
        libraries=library_versions("trimaran", *libraries),
        target=target or {},
        parity=[dict(row) for row in parity],
        created_at=now(),
    )


def describe_files(directory: Path) -> dict[str, FileEntry]:
    """Every file below `directory` but the manifest, by its path with forward slashes."""
    return {
        path.relative_to(directory).as_posix(): FileEntry(sha256_of(path), path.stat().st_size)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path != directory / MANIFEST_NAME
    }


def content_digest(files: Mapping[str, FileEntry], canonical: Mapping[str, str]) -> str:
    """One SHA-256 over all files, with `canonical` digests in place of those it names."""
    lines = [f"{name} {canonical.get(name, entry.sha256)}" for name, entry in sorted(files.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def library_versions(*distributions: str) -> dict[str, str]:
    """The installed version of each distribution."""
    return {name: metadata.version(name) for name in distributions}


def git_commit(directory: Path) -> str:
    """The commit of the checkout that contains `directory`, with `-dirty` after local changes.

    Empty where there is no checkout or no git.
    """
    command = ("git", "-C", str(directory), "describe", "--always", "--dirty", "--abbrev=40")
    try:
        result = subprocess.run(
            (*command, "--exclude=*"), capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def now() -> str:
    """The current time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
