"""The pages' commands: one form that works when it is pasted, and options that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from proofs.pages import Block, blocks, commands
from tests.running import PROJECT
from trimaran.cli.main import _group, _LazyGroup

PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted((PROJECT / "docs").glob("*.md")),
]
OURS = ".venv/bin/trimaran "


def all_commands() -> list[tuple[str, str]]:
    return [
        (f"{page.name}:{line}", command)
        for page in PAGES
        for block in blocks(page)
        for line, command in commands(block)
    ]


def test_a_block_is_read_as_a_shell_reads_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "text\n```\n# a comment\none\n\ntwo \\\n  more\n```\n"
        "```python\nthree\n```\n```sh\nfour\n```\n"
    )
    found = list(blocks(page))
    assert [block.language for block in found] == ["", "python", "sh"]
    assert found[1] == Block("python", 10, ("three",))
    assert [list(commands(block)) for block in found] == [
        [(4, "one"), (6, "two   more")],
        [],
        [(13, "four")],
    ]


def test_every_page_calls_the_command_in_the_one_way_that_works_when_pasted() -> None:
    found = all_commands()
    assert len(found) > 60
    other = [
        (where, text)
        for where, text in found
        if re.match(r"(\$ )?(\w+=\S+ )*(trimaran|python3?) ", text)
    ]
    assert not other


@pytest.mark.parametrize(
    ("where", "command"),
    [pytest.param(*found, id=found[0]) for found in all_commands() if OURS in found[1]],
)
def test_every_option_in_a_page_is_one_of_the_command(where: str, command: str) -> None:
    text = re.sub(r"\s#.*", "", command.partition(OURS)[2])
    assert "[--" not in text, "a shell takes that for a file's name"
    words = shlex.split(text)
    group = _group("")
    context = typer.Context(group)
    _, found, rest = group.resolve_command(context, words)
    while isinstance(found, _LazyGroup):
        _, found, rest = found.resolve_command(context, rest)
    known = {option for parameter in found.params for option in parameter.opts}
    known |= {option for parameter in found.params for option in parameter.secondary_opts}
    used = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert used <= known | {"--help"}, where
