"""One mistake: where it is made, and which tests have to notice it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MOST_EQUIVALENT", "TABLE", "Mutant", "read_table"]

TABLE = Path(__file__).with_name("mutants.toml")
MOST_EQUIVALENT = 3


@dataclass(frozen=True)
class Mutant:
    """`find` occurs once in `file`; with `replace` instead of it, one of `tests` must fail."""

    name: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    """Arguments of pytest: files, or single tests."""
    equivalent: str = ""
    """Why no test can notice it, where that is so."""

    def applied(self, text: str) -> str:
        """The file's text with the mistake. Raises `ValueError` where `find` is not there once."""
        found = text.count(self.find)
        if found != 1:
            raise ValueError(f"{self.name}: its text occurs {found} times in {self.file}, not once")
        return text.replace(self.find, self.replace)


def read_table(path: Path = TABLE) -> Sequence[Mutant]:
    """The mistakes of a table, in its order. Raises `ValueError` for a name that occurs twice."""
    record = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Mutant(**{**each, "tests": tuple(each["tests"])}, name=name)
        for name, each in record.items()
    ]
