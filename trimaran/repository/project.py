"""A project: a folder with a file `trimaran.toml`, which commands in it and below it read.

```toml
repository = "model_repository"   # the model repository
table = "shop.csv"                # what `trimaran train` trains on, into `runs`
export = "model.py:network"       # what `trimaran export` exports
formats = ["onnx"]                # and into which formats
publish = "pipeline.py:pipeline"  # what `trimaran publish` publishes
models = ["shop"]                 # what is served; commands on one model take the first

[ports]                           # of `trimaran serve`
http = 8000
grpc = 8001
metrics = 8002
supervisor = 8003
```

Every key may be left out. Paths are relative to the file, and stay inside its folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimaran.repository.repository import DEFAULT_PLACE, check_model_name
from trimaran.system.errors import TrimaranError
from trimaran.system.own_packages import OWN_PACKAGES
from trimaran.system.toml_text import parse_toml, read_utf8, refuse_unknown, texts_of, value_of

__all__ = ["Project", "parse_project", "read_project"]

_KEYS = ("repository", "table", "export", "formats", "publish", "models", "ports")
_PORTS = ("http", "grpc", "metrics", "supervisor")


@dataclass(frozen=True)
class Project:
    """What `trimaran.toml` says; a path is absolute, and what the file leaves out is empty."""

    root: Path
    repository: Path
    table: str = ""
    """The path of a file."""
    export: str = ""
    """A factory, as `/path/to/file.py:function` or `package.module:function`, or a trained run."""
    publish: str = ""
    """The same, or a step."""
    formats: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    """By the name of its option, without `--` and `-port`."""


def read_project(path: Path) -> Project:
    """The project of a `trimaran.toml`. Raises `TrimaranError` for the first thing wrong with it.

    In a folder that everyone may write to, such as `/tmp`, the file must be this user's or root's,
    since it says which code runs.
    """
    try:
        _require_trusted(path)
        return parse_project(read_utf8(path), path.parent)
    except TrimaranError as error:
        raise TrimaranError(f"{path}: {error}") from None


def parse_project(text: str, root: Path) -> Project:
    """The project in the text of a `trimaran.toml` that lies in `root`. Raises `TrimaranError`."""
    document = parse_toml(text)
    refuse_unknown(document, _KEYS)
    ports = value_of(document, "ports", dict, "a table [ports]") or {}
    refuse_unknown(ports, _PORTS, "[ports]: ")
    repository = value_of(document, "repository", str, "the path of a folder")
    table = value_of(document, "table", str, "the path of a file")
    return Project(
        root=root,
        repository=_inside(root, DEFAULT_PLACE if repository is None else repository, "repository"),
        table="" if table is None else str(_inside(root, table, "table")),
        export=_factory(root, document, "export"),
        publish=_factory(root, document, "publish"),
        formats=texts_of(document, "formats") or (),
        models=_models(document),
        ports={name: _port(ports, name) for name in ports},
    )


def _require_trusted(path: Path) -> None:
    try:
        owner, folder = path.stat().st_uid, path.parent.stat()
    except OSError as error:
        raise TrimaranError(f"cannot be read: {error.strerror}") from None
    if folder.st_mode & stat.S_IWOTH and owner not in (os.getuid(), 0):
        raise TrimaranError(
            "belongs to another user, in a folder that everyone may write to, and it says which "
            "code runs; work in a folder of your own"
        )


def _inside(root: Path, path: str, key: str) -> Path:
    """An absolute path below `root`."""
    if not path or not path.isprintable():
        raise TrimaranError(f"{key} is {path!r}; expected a path in the project's folder")
    inside = Path(os.path.normpath(root / path))
    real, home = inside.resolve(), root.resolve()
    if not real.is_relative_to(home) or not inside.is_relative_to(root):
        raise TrimaranError(
            f"{key} is {path!r}, which leads out of the project's folder; name a path inside it, "
            "or use the command's own option for one elsewhere"
        )
    if real == home:
        raise TrimaranError(f"{key} is {path!r}, the project's folder itself; name one inside it")
    return inside


def _factory(root: Path, document: Mapping[str, Any], key: str) -> str:
    expected = "path/to/file.py:function, or the folder of a trained run"
    named = value_of(document, key, str, expected)
    if named is None:
        return ""
    place, separator, function = named.rpartition(":")
    if not separator and not named.endswith(".py"):
        return str(_inside(root, named, key))
    if not function.isidentifier() or not separator:
        raise TrimaranError(f"{key} is {named!r}; expected {expected}")
    if place.partition(".")[0] in OWN_PACKAGES:
        return named
    if not place.endswith(".py"):
        raise TrimaranError(
            f"{key} is {named!r}, a module that is not trimaran's; expected {expected}"
        )
    return f"{_inside(root, place, key)}:{function}"


def _models(document: Mapping[str, Any]) -> tuple[str, ...]:
    models = texts_of(document, "models") or ()
    for name in models:
        try:
            check_model_name(name)
        except TrimaranError as error:
            raise TrimaranError(f"models: {error}") from None
        if models.count(name) > 1:
            raise TrimaranError(f"models holds {name!r} twice; remove one")
    return models


def _port(ports: Mapping[str, Any], name: str) -> int:
    port = value_of(ports, name, int, "a number from 1 to 65535", "[ports]: ")
    if not 0 < port < 65536:
        raise TrimaranError(f"[ports]: {name} is {port}; expected a number from 1 to 65535")
    return port
