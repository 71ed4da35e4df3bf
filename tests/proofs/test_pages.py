"""The pages: commands that work when they are pasted, options that exist, links that resolve."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from proofs.pages import TASKS, Block, blocks, commands
from tests.running import PROJECT
from trimaran.cli.main import _group, _LazyGroup

PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted((PROJECT / "docs").glob("*.md")),
]
OURS = ".venv/bin/trimaran "
_INLINE = re.compile(r"`(?:\.venv/bin/)?trimaran ([a-z][^`]*)`")
_PATH = re.compile(
    r"`((?:trimaran|exporters|ensembles|monitoring|loadtests|proofs|tests)/[\w/.-]*)`"
)
_LINK = re.compile(r"\]\(([^)#:]*)(#[^)]*)?\)")


def prose(page: Path) -> str:
    """A page's text outside of its fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {f"#{re.sub(r'[^a-z0-9 _-]', '', text.lower()).replace(' ', '-')}" for text in headings}


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


def inline_commands() -> list[tuple[str, str]]:
    """The commands that a page's text names in backquotes."""
    return [
        (f"{page.name}: {words}", f"{OURS}{words}")
        for page in PAGES
        for words in dict.fromkeys(_INLINE.findall(prose(page)))
    ]


@pytest.mark.parametrize(
    ("where", "command"),
    [
        pytest.param(*found, id=found[0])
        for found in [*all_commands(), *inline_commands()]
        if OURS in found[1]
    ],
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


def test_every_page_by_task_is_followed() -> None:
    index = (
        (PROJECT / "docs" / "README.md").read_text(encoding="utf-8").partition("## Reference")[0]
    )
    listed = [f"docs/{name}" for name in re.findall(r"\]\(([a-z-]+\.md)\)", index)]
    assert listed == list(TASKS[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in _LINK.findall(prose(page)):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_path_in_a_page_exists(page: Path) -> None:
    paths = _PATH.findall(page.read_text(encoding="utf-8"))
    assert not [path for path in paths if not (PROJECT / path).exists()]
