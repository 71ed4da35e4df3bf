"""What was found, a JSON line for each thing that was tried, so that an interrupted run goes on.

Lines of another state of the served code are left out: they say nothing about this one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Results", "state_of"]

_PROJECT = Path(__file__).parents[2]


def state_of(project: Path = _PROJECT) -> str:
    """A digest of what is tried: the code in `trimaran/`, and the models' configurations."""
    digest = hashlib.sha256()
    for pattern in (
        "trimaran/**/*.py",
        "trimaran/**/*.cc",
        "trimaran/**/*.h",
        "model_repository/*/config.pbtxt",
    ):
        for path in sorted(project.glob(pattern)):
            digest.update(f"{path.relative_to(project)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Results:
    """The lines of each part below a directory, those of one state of the code."""

    directory: Path
    state: str

    def read(self, part: str) -> list[dict[str, Any]]:
        """The lines of one part, in order."""
        path = self._path(part)
        if not path.is_file():
            return []
        lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line["state"] == self.state]

    def keep(self, part: str, line: Mapping[str, Any]) -> None:
        """Append one line."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._path(part).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"state": self.state, **line}) + "\n")

    def _path(self, part: str) -> Path:
        return self.directory / f"{part}.jsonl"
