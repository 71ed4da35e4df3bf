"""A version's files, as a server takes them over the network."""

from __future__ import annotations

from pathlib import Path

__all__ = ["version_files"]


def version_files(directory: Path, number: int) -> dict[str, bytes]:
    """What `directory` holds, by paths that make it version `number`: see `Control.load_given`."""
    return {
        f"{number}/{path.relative_to(directory)}": path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
