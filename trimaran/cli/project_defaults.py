"""What a project's `trimaran.toml` says in place of options and arguments that are left out.

The command line comes first, then an environment variable such as `TRIMARAN_REPOSITORY`, then the
project, then the default of the option.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimaran.system.project_file import find_project_file

if TYPE_CHECKING:  # it loads protobuf, which no command needs outside of a project
    from trimaran.repository.project import Project

__all__ = ["defaults_of", "project_defaults"]

_RUNS = "runs"
"""The folder of trained runs, which lies in the project wherever `trimaran train` is called."""


def project_defaults(folder: Path, commands: Iterable[str]) -> dict[str, Any]:
    """Of each command, values by parameter, from the project around `folder`.

    Empty outside of a project. Raises `TrimaranError` for a `trimaran.toml` that is not valid.
    """
    path = find_project_file(folder)
    if path is None:
        return {}
    from trimaran.repository.project import read_project

    return defaults_of(read_project(path), folder, commands)


def defaults_of(project: Project, folder: Path, commands: Iterable[str]) -> dict[str, Any]:
    """The same for a project, with its paths as they are written in `folder`.

    A command of two words is in a mapping of its first, as `monitor up` in `monitor`.
    """
    repository = os.path.relpath(project.repository, folder)
    own = _of_commands(project, folder)
    defaults: dict[str, Any] = {}
    for command in commands:
        *group, name = command.split()
        inner = defaults.setdefault(group[0], {}) if group else defaults
        given = {key: each for key, each in own.get(command, {}).items() if each}
        inner[name] = {"repository": repository, **given}
    return defaults


def _of_commands(project: Project, folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Of a command, values by parameter; an empty one stands for none."""
    model = project.models[0] if project.models else ""
    table, export = _written(project.table, folder), _written(project.export, folder)
    ports = {f"{name}_port": port for name, port in project.ports.items()}
    return {
        "train": {"table": table, "out": os.path.relpath(project.root / _RUNS, folder)},
        "explore": {"data": table},
        "run": {"name": model, "out": os.path.relpath(project.root / _RUNS, folder)},
        "privacy erase": {"runs": os.path.relpath(project.root / _RUNS, folder)},
        "export": {"factory": export, "formats": list(project.formats)},
        "optimize": {"factory": export},
        "publish": {"factory": _written(project.publish, folder)},
        "serve": {"model": list(project.models), **ports},
        **{name: {"model": model} for name in ("deploy", "rollback", "predict", "feedback")},
        **{name: {"model": model} for name in ("locust", "perf", "tune")},
        "release": {"ensemble": model},
        "bench": {"target": model},
    }


def _written(factory: str, folder: Path) -> str:
    """What names a file or a folder, with its path from `folder`; anything else as it is."""
    return os.path.relpath(factory, folder) if factory.startswith(os.sep) else factory
