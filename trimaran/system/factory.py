"""Objects that a user names on the command line: `package.module:function`, `file.py:function`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.own_packages import OWN_PACKAGES, own_module

__all__ = ["call_factory", "call_given", "find_named"]

_CHURN = "runs/churn/latest"

_MOVED = {
    **dict.fromkeys(("training.churn:model", "exporters.churn:model"), _CHURN),
    **{
        f"{package}.churn:{made}": _CHURN
        for package in ("training", "ensembles")
        for made in ("ensemble", "record", "feedback")
    },
    "training.efficientnet_lite0:model": "exporters.efficientnet_lite0:model",
    "training.efficientnet_lite0:onnx_ensemble": "ensembles.efficientnet_lite0:onnx_ensemble",
}
"""The ready factories by the names that they had before."""


def call_factory(name: str) -> Any:
    """Import what `name` says and call it without arguments.

    A module is looked for in the working directory first, except those of trimaran's own packages.
    Raises `UsageError` where there is no such module, file or function, and `TrimaranError` where
    the module or the function itself fails.
    """
    found = find_named(name)
    if not callable(found):
        place, _, function = name.rpartition(":")
        raise UsageError(f"{place} has no function {function!r}")
    try:
        return found()
    except TrimaranError:
        raise
    except (Exception, SystemExit) as error:
        raise TrimaranError(f"{name} failed: {_sentence(error)}") from error


def find_named(name: str) -> Any:
    """What `name` stands for, imported and not called. Raises as `call_factory` does."""
    place, separator, function = name.rpartition(":")
    if not separator or not place or not function.isidentifier():
        raise UsageError(
            f"{name!r} names no function; write package.module:function or path/to/file.py:function"
        )
    module = _from_file(place, name) if place.endswith(".py") else _from_module(place, name)
    if not hasattr(module, function):
        raise UsageError(f"{place} has no function {function!r}")
    return getattr(module, function)


def call_given(factory: Callable[[], Any] | str) -> tuple[Any, str]:
    """What a function makes, or the one that `call_factory` finds by its name, and that name.

    Raises what `call_factory` does for a name.
    """
    if isinstance(factory, str):
        return call_factory(factory), factory
    return factory(), f"{factory.__module__}:{factory.__qualname__}"


def _from_file(place: str, name: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        raise UsageError(f"{name}: there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules.setdefault(path.stem, module)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise TrimaranError(f"{path} failed: {_sentence(error)}") from error
    return module


def _from_module(place: str, name: str) -> ModuleType:
    if place.startswith("."):
        raise UsageError(f"{name}: {place} is relative; write the module's full name")
    package = place.partition(".")[0]
    if package in OWN_PACKAGES:
        own_module(package)  # before the working directory comes first on the path
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            remedy = _where_else(place, package, name)
            raise UsageError(f"{name}: there is no module {error.name!r}{remedy}") from error
        raise TrimaranError(f"{place} failed: {_sentence(error)}") from error
    except (Exception, SystemExit) as error:
        raise TrimaranError(f"{place} failed: {_sentence(error)}") from error


def _where_else(place: str, package: str, name: str) -> str:
    """What to write instead of a name that leads nowhere, or an empty string."""
    if name in _MOVED:
        return f"; it is now {_MOVED[name]}"
    if package in OWN_PACKAGES and Path(package).exists():
        file = Path(*place.split(".")).with_suffix(".py")
        return (
            f" in trimaran's own package {package!r}, which hides your folder {package}/; write "
            f"{file}:{name.rpartition(':')[2]}, or rename the folder"
        )
    return ""


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
