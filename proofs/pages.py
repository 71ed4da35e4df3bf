"""The documents' pages, and the commands in them: what a reader would paste, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["AT_LEISURE", "TASKS", "Block", "blocks", "commands"]

TASKS = (
    "README.md",
    "docs/get-started.md",
    "docs/serve.md",
    "docs/export.md",
    "docs/ensembles.md",
    "docs/tables.md",
    "docs/fraud.md",
    "docs/projects.md",
    "docs/text.md",
    "docs/photographs.md",
    "docs/recommendations.md",
    "docs/release.md",
    "docs/rollout.md",
    "docs/retraining.md",
    "docs/results.md",
    "docs/gateway.md",
    "docs/canary.md",
    "docs/shadow.md",
    "docs/outcomes.md",
    "docs/measure.md",
    "docs/watch.md",
    "docs/privacy.md",
    "docs/production.md",
    "docs/python.md",
)
"""The pages by task, in the order in which a reader follows them; each builds on the earlier."""

AT_LEISURE = (
    "docs/retraining.md",
    "docs/results.md",
    "docs/canary.md",
    "docs/shadow.md",
    "docs/outcomes.md",
)
"""Those that train and wait for many minutes, and follow no other: `proofs.readme` runs them."""

_SHELL = ("", "sh", "bash")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the number of its first line, and its lines."""

    language: str
    line: int
    lines: tuple[str, ...]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    language, begun, lines = "", 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("```"):
            lines.append(line)
        elif begun:
            yield Block(language, begun + 1, tuple(lines))
            begun = 0
        else:
            language, begun, lines = line[3:].strip(), number, []


def commands(block: Block) -> Iterator[tuple[int, str]]:
    """The commands of a shell block with their line numbers; continued lines are joined."""
    if block.language not in _SHELL:
        return
    begun, text = block.line, ""
    for number, line in enumerate(block.lines, start=block.line):
        text += line
        if text.endswith("\\"):
            text = text[:-1]
            continue
        if text.strip() and not text.lstrip().startswith("#"):
            yield begun, text
        begun, text = number + 1, ""
