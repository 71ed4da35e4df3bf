"""Options of a command that `rollout.toml` has as keys of a table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import typer

from trimaran.system.errors import UsageError
from trimaran.system.toml_text import nearest

__all__ = ["command_of", "context_of", "written_options"]


def command_of(function: Callable[..., Any], name: str) -> Any:
    """The command that a function carries out."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name)(function)
    return typer.main.get_command(app)


def written_options(
    command: Any, table: Mapping[str, Any], own: Collection[str], where: str
) -> dict[str, Any]:
    """The options of a table, by the names that the command has for them.

    `own` are the parameters that no table sets, and `where` begins a sentence. Raises `UsageError`.
    """
    known = [each.opts[0].lstrip("-") for each in command.params if each.name not in own]
    found: dict[str, Any] = {}
    for key, value in table.items():
        option = key.replace("_", "-")
        if option not in known:
            raise UsageError(f"{where}there is no key {key!r}; {nearest(option, known)}")
        if not isinstance(value, bool | str | int | float):
            raise UsageError(f"{where}{option} is {value!r}; expected a text, a number or true")
        found[option] = value
    return found


def context_of(
    command: Any, arguments: Sequence[str], options: Mapping[str, Any], where: str
) -> typer.Context:
    """The parameters of a call with arguments and options. Raises `UsageError`."""
    given = list(arguments)
    for option, value in options.items():
        if isinstance(value, bool):
            given += [f"--{option}"] if value else []
        else:
            given.append(f"--{option}={value}")
    try:
        found: typer.Context = command.make_context(command.name, given)
    except typer.BadParameter as error:
        raise UsageError(f"{where}{error.format_message()}") from None
    return found
