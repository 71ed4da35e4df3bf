"""The finished steps of a long command, so that an interrupted one goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["Journal"]


class Journal:
    """Steps by name with their results, which are plain values: a file of JSON lines.

    A step is written when it is done. A line that a killed process left unfinished does not count.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results: dict[str, Any] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines():
            try:
                record = json.loads(line)
                self._results[record["step"]] = record["result"]
            except (ValueError, TypeError, KeyError):
                continue
        self._torn = bool(text) and not text.endswith("\n")

    def get(self, step: str) -> Any:
        """The result of a finished step, or `None`."""
        return self._results.get(step)

    def add(self, step: str, result: Any) -> None:
        """Keep the result of a step."""
        self._results[step] = result
        line = json.dumps({"step": step, "result": result})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(("\n" if self._torn else "") + line + "\n")
        self._torn = False
