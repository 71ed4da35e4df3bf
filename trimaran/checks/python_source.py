"""A Python model's source, read without running it: its class, and what it adds to a configuration.

Triton runs `auto_complete_config` before it checks a configuration, so that tensors may lack their
type and dims there. Only literals are followed: a computed value, or one under a condition, may be
anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Addition", "Completion", "class_file", "read_completion", "source_problem"]

_ADDERS = {"add_input": "input", "add_output": "output"}
_SETTERS = ("set_max_batch_size", "set_model_transaction_policy", "set_dynamic_batching")


@dataclass(frozen=True)
class Addition:
    """A call in `auto_complete_config` with the literal it is given.

    `what` is `input`, `output`, or the setter's name; `always` is false under a condition.
    """

    what: str
    value: Any
    always: bool


@dataclass(frozen=True)
class Completion:
    """What `auto_complete_config` does, as far as its source shows.

    `is_open` if it does more than is listed; `returns` whether it gives anything back.
    """

    additions: tuple[Addition, ...] = ()
    is_open: bool = False
    returns: bool = True

    def tensors(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """The inputs or outputs that it names, by name."""
        return {
            item.value["name"]: item.value
            for item in self.additions
            if item.what == kind and isinstance(item.value, dict) and _is_named(item.value)
        }


def read_completion(source: bytes) -> Completion | None:
    """The completion in a model's source, or `None` where it has none or is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == _MODEL]
    if not classes:
        # The class comes from elsewhere, and its completion with it.
        return Completion(is_open=True)
    methods = [n for n in classes[-1].body if isinstance(n, ast.FunctionDef) and n.name == _METHOD]
    if not methods:
        inherits = bool(classes[-1].bases) or any(
            isinstance(n, ast.Assign) and _METHOD in {getattr(t, "id", "") for t in n.targets}
            for n in classes[-1].body
        )
        return Completion(is_open=True) if inherits else None
    return _completion(methods[-1], _literals(tree.body, {}))


def class_file(source: bytes) -> str:
    """The file that a source imports its `TritonPythonModel` from, or an empty text.

    `from trimaran.served.labels_model import TritonPythonModel` gives
    `trimaran/served/labels_model.py`, which a version may hold.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom) or not node.module or node.level:
            continue
        if any(alias.name == _MODEL and not alias.asname for alias in node.names):
            return f"{node.module.replace('.', '/')}.py"
    return ""


_MODEL, _METHOD = "TritonPythonModel", "auto_complete_config"


def _completion(function: ast.FunctionDef, constants: Mapping[str, list[Any]]) -> Completion:
    handles = _handles(function)
    known = _literals(ast.walk(function), constants)
    additions: list[Addition] = []
    is_open = any(
        isinstance(n, ast.Subscript)
        and isinstance(n.ctx, ast.Store)
        and _mentions(n.value, handles)
        for n in ast.walk(function)
    )
    is_open |= any(
        isinstance(n, _INNER) and any(_adds(call) for call in ast.walk(n))
        for n in ast.walk(function)
        if n is not function
    )
    for call, always in _calls(function.body, True):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name in _ADDERS or name in _SETTERS:
            values = _values(call, known)
            is_open |= values is None
            what = _ADDERS.get(name, name)
            sure = always and (name in _ADDERS or len(values or ()) == 1)
            additions += [Addition(what, value, sure) for value in values or ()]
        else:
            is_open |= _may_change(call, name, handles)
    returns = any(
        isinstance(n, ast.Raise) or (isinstance(n, ast.Return) and n.value is not None)
        for n in ast.walk(function)
    )
    return Completion(tuple(additions), is_open, returns)


_INNER = (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp, ast.Lambda, ast.FunctionDef)
"""Nodes with their own names, which are not followed."""


def _adds(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr in _ADDERS or node.func.attr in _SETTERS)
    )


_CHANGING = ("append", "extend", "insert", "pop", "remove", "setdefault", "update", "clear")


def _may_change(call: ast.Call, name: str, handles: set[str]) -> bool:
    """Whether a call may change the configuration in a way that is not followed."""
    handed_on = any(isinstance(a, ast.Name) and a.id in handles for a in call.args)
    harmless = isinstance(call.func, ast.Name) and call.func.id in ("print", "len", "str", "list")
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    changes = name in _CHANGING and owner is not None and _mentions(owner, handles)
    return (handed_on and not harmless) or changes


def _handles(function: ast.FunctionDef) -> set[str]:
    """The names of the configuration and of its parts."""
    names = {argument.arg for argument in function.args.args}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and _mentions(node.value, names):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.For) and _mentions(node.iter, names):
            names |= {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
    return names


def _calls(body: list[ast.stmt], always: bool) -> Iterator[tuple[ast.Call, bool]]:
    """Every call, and whether it is made each time."""
    for statement in body:
        nested = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
        nested += [handler.body for handler in getattr(statement, "handlers", [])]
        if any(nested):
            sure = always and isinstance(statement, ast.For | ast.With)
            for part in nested:
                yield from _calls(part, sure)
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                yield node, always


def _literals(nodes: Iterable[ast.AST], outer: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """The literal values that names are bound to, also by loops over literal lists.

    `outer` has those of the module, which a name bound here hides.
    """
    found: dict[str, list[Any]] = {}
    loops: list[ast.For] = []
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = _literal(node.value)
            for target in targets:
                if isinstance(target, ast.Name) and value is not _UNKNOWN:
                    found.setdefault(target.id, []).append(value)
        elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            loops.append(node)
    for loop in loops:
        assert isinstance(loop.target, ast.Name)  # noqa: S101 - chosen above
        lists = {**outer, **found}.get(loop.iter.id, []) if isinstance(loop.iter, ast.Name) else []
        direct = _literal(loop.iter)
        lists = lists if direct is _UNKNOWN else [direct]
        items = [item for one in lists if isinstance(one, list | tuple) for item in one]
        found.setdefault(loop.target.id, []).extend(items)
    return {**outer, **found}


_UNKNOWN = object()


def _literal(node: ast.expr) -> Any:
    """The value of a literal, or of `dict(name=literal)`, or `_UNKNOWN`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        values = {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
        followed = not node.args and None not in values and _UNKNOWN not in values.values()
        return values if followed else _UNKNOWN
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _UNKNOWN


def _values(call: ast.Call, known: Mapping[str, list[Any]]) -> list[Any] | None:
    """What a call may be given, or `None` where that is unknown."""
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    if not arguments:
        return [None]
    if len(arguments) != 1:
        return None
    value = _literal(arguments[0])
    if value is not _UNKNOWN:
        return [value]
    if isinstance(arguments[0], ast.Name):
        return known.get(arguments[0].id) or None
    return None


def _mentions(node: ast.expr, names: set[str]) -> bool:
    return any(isinstance(n, ast.Name) and n.id in names for n in ast.walk(node))


def _is_named(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("name"), str)


def source_problem(source: bytes) -> str:
    """Why Triton cannot load this source, or an empty text.

    A name that is bound in any other way than a class of it is left to Triton.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        place = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        return (
            f"is not valid Python{place}: {error.msg if isinstance(error, SyntaxError) else error}"
        )
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    names |= {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    names |= {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return "" if names & {_MODEL, "*"} else f"has no class {_MODEL}"
