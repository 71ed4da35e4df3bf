"""`trimaran init`: a project that works at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ensembles.scaffold import make_project

__all__ = ["init"]


def init(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The folder to make; its models are named so too.")
    ],
    kind: Annotated[str, typer.Option(help="image, table, text or custom.")] = "custom",
) -> None:
    """Make a folder with a model, what is served around it, its test, and trimaran.toml.

    Commands that run in that folder, or below it, take what they need from trimaran.toml.
    """
    made = make_project(Path.cwd(), name, kind)
    print(f"made {made.name}: its README.md has the commands")
