"""The files by which a version runs a model of `trimaran.served`, found from the model's imports.

`served_files("trimaran.served.labels_model")` gives, by path in the version directory:

    model.py                          imports the model from the copy below, for Triton
    trimaran/__init__.py              without content, like that of every package
    trimaran/served/__init__.py
    trimaran/served/labels_model.py
    trimaran/served/ranking.py        and every other module of `trimaran.served` that it imports

So a version needs no installed trimaran, and keeps its behaviour when another one is installed.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import trimaran
from trimaran.system.errors import TrimaranError

__all__ = ["parsed", "running", "served_files"]

_PACKAGE = "trimaran.served"
_ROOT = Path(trimaran.__file__).parent.parent
_CLASS = "TritonPythonModel"
_INIT = b'"""Copied when this version was published."""\n'
_STARTER = '''\
"""Starts `{entry}` from the copy in this directory."""

import sys
from pathlib import Path

# First on the path: another trimaran may be installed where Triton runs.
sys.path.insert(0, str(Path(__file__).absolute().parent))
# Triton would take bytecode in this directory for a changed version.
sys.dont_write_bytecode = True

from {entry} import {name}

__all__ = ["{name}"]
'''


def served_files(entry: str, root: Path = _ROOT) -> dict[str, bytes]:
    """The version's files for the module `entry`, which holds a class `TritonPythonModel`.

    `root` is the directory that holds the package `trimaran`. Raises `TrimaranError` where the
    entry is no such module, an imported file is missing, or a module imports another package of
    `trimaran` than `trimaran.served`.
    """
    trees: dict[str, ast.Module] = {}
    files = {"model.py": _STARTER.format(entry=entry, name=_CLASS).encode()}
    waiting = [(entry, "publishing")]
    while waiting:
        module, importer = waiting.pop()
        if module in trees:
            continue
        path = _path(module)
        content = _read(root / path, module, importer)
        trees[module] = parsed(content, root / path)
        files[path] = content
        files |= {f"{parent}/__init__.py": _INIT for parent in _packages(path)}
        waiting += [(name, module) for name in _imports(trees[module], module, root)]
    if not any(isinstance(n, ast.ClassDef) and n.name == _CLASS for n in trees[entry].body):
        raise TrimaranError(
            f"{entry} has no class {_CLASS}, which Triton starts; name a module that has one"
        )
    return files


def _path(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


def _packages(path: str) -> Iterator[str]:
    for parent in Path(path).parents:
        if parent.name:
            yield parent.as_posix()


def _read(path: Path, module: str, importer: str) -> bytes:
    if not module.startswith(f"{_PACKAGE}."):
        raise TrimaranError(
            f"{importer} needs {module}, and a version holds modules of {_PACKAGE} only; move the "
            "code there"
        )
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise TrimaranError(
            f"{importer} needs {module}, and there is no file {path}; correct the import"
        ) from error


def parsed(content: bytes, path: Path) -> ast.Module:
    """The syntax tree of a file. Raises `TrimaranError` where it is no Python."""
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise TrimaranError(f"{path} is not valid Python: {error}; correct it") from error


def _imports(tree: ast.Module, module: str, root: Path) -> Iterator[str]:
    """The modules of `trimaran` that a module imports when it runs, also inside a function."""
    for node in running(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom):
            name = f"{'.' * node.level}{node.module or ''}"
            name = importlib.util.resolve_name(name, module.rpartition(".")[0])
            if _is_ours(name):
                is_package = (root / name.replace(".", "/")).is_dir()
                inside = [f"{name}.{alias.name}" for alias in node.names]
                yield from inside if is_package else [name]


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "trimaran"


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, without those for a type checker alone."""
    yield node
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = iter(node.orelse)
    for child in children:
        yield from running(child)
