"""The code of the user's own that travels with a step, found from its module's imports.

`own_code("steps", folder)` gives, by path below the version's directory of own code:

    steps.py            the module itself
    sound/__init__.py   and every module of the same folder that it imports, in any function too
    sound/filters.py

Imports of trimaran's packages are answered there by a stand-in, since a served version needs no
trimaran. Every other import is a package that has to be installed where Triton runs.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from ensembles.served_files import parsed, running
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.own_packages import OWN_PACKAGES

__all__ = ["OwnCode", "own_code", "parsed_requirement", "require_declared"]

_ROOT = Path(__file__).resolve().parents[1]
_OURS = ("trimaran", *OWN_PACKAGES)
_GIVEN = ("numpy", "triton_python_backend_utils")
"""Packages that Triton's Python backend always has."""

_STAND_IN = '''\
"""Stands for trimaran where a step runs: its names can be imported, and steps are as written."""


class Absent:
    def __init__(self, name):
        self.name = name

    def __call__(self, *args, **kwargs):
        raise RuntimeError(f"{self.name} of trimaran cannot be called where a step runs")


def python_step(*args, **kwargs):
    return lambda function: function


def tensor(*args, **kwargs):
    return None


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Absent(name)
'''


@dataclass(frozen=True)
class OwnCode:
    """Files by path below the directory of own code, and the packages that they import.

    `packages` are names as they are imported, with the file that imports each first.
    """

    files: Mapping[str, bytes]
    packages: Mapping[str, str]
    uses_trimaran: frozenset[str] = frozenset()

    def stand_ins(self) -> dict[str, bytes]:
        """What answers imports of trimaran's packages, by package."""
        return dict.fromkeys(sorted(self.uses_trimaran), _STAND_IN.encode())


def own_code(module: str, folder: Path, function: str) -> OwnCode:
    """What `function` in `module`, a file below `folder`, needs of the user's own.

    Of the module itself, imports inside other functions do not count.

    Raises `UsageError` for a module of a name that Triton or trimaran needs, and `TrimaranError`
    for a file that is no Python, or that imports a submodule of trimaran.
    """
    top = module.partition(".")[0]
    if top == "model" or top in _OURS:
        user = "Triton" if top == "model" else "trimaran"
        raise UsageError(
            f"a step cannot be in a module named {top!r}, which {user} uses itself; rename "
            f"{_found(module, folder) or top}"
        )
    files: dict[str, bytes] = {}
    packages: dict[str, str] = {}
    ours: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _found(name, folder)
        if path is None or path.relative_to(folder).as_posix() in files:
            continue
        files[path.relative_to(folder).as_posix()] = content = path.read_bytes()
        waiting += _packages_of(name)
        tree = parsed(content, path)
        if name == module:
            tree.body = [each for each in tree.body if _counts(each, function)]
        for imported in _imports(tree, name, path):
            first = imported.partition(".")[0]
            is_there = _found(first, folder) is not None or (folder / first).is_dir()
            if first in _OURS and (folder == _ROOT or not is_there):
                ours.add(_whole(imported, path))
            elif is_there:
                waiting.append(imported)
            elif first not in sys.stdlib_module_names and first not in _GIVEN:
                packages.setdefault(first, path.name)
    return OwnCode(files, packages, frozenset(ours))


def require_declared(step: str, code: OwnCode, requirements: Iterable[str]) -> None:
    """Raise `TrimaranError` for a package that the code imports and `requirements` lack."""
    from importlib.metadata import packages_distributions

    declared = {_normal(parsed_requirement(requirement).name) for requirement in requirements}
    by_import = packages_distributions()
    for package, file in code.packages.items():
        offered = by_import.get(package, [package])
        if not declared.intersection(map(_normal, offered)):
            raise TrimaranError(
                f"{file} imports {package}, which the step {step} does not declare; add "
                f"requirements=[{offered[0]!r}] to it, or do without the import"
            )


def parsed_requirement(text: str) -> Requirement:
    """A requirement as pip takes it. Raises `UsageError` for another text."""
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(
            f"{text!r} is no requirement: write it as for pip, such as 'scipy>=1.11'"
        ) from error


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _found(module: str, folder: Path) -> Path | None:
    path = folder.joinpath(*module.split("."))
    choices = (path.with_suffix(".py"), path / "__init__.py")
    return next((each for each in choices if each.is_file()), None)


def _packages_of(module: str) -> list[str]:
    """The packages around a module, whose files run before it."""
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _counts(node: ast.stmt, function: str) -> bool:
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return not is_function or getattr(node, "name", "") == function


def _imports(tree: ast.Module, module: str, path: Path) -> Iterator[str]:
    """The modules that a file imports when it runs, also inside a function."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in running(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = f"{'.' * node.level}{node.module or ''}"
            if node.level:
                name = importlib.util.resolve_name(name, package)
            yield name
            if name.partition(".")[0] not in _OURS:
                yield from (f"{name}.{alias.name}" for alias in node.names)


def _whole(imported: str, path: Path) -> str:
    package, _, rest = imported.partition(".")
    if rest:
        raise TrimaranError(
            f"{path.name} imports {imported}, and a served step has no trimaran; import its names "
            f"from {package}, as by 'from {package} import python_step'"
        )
    return package
