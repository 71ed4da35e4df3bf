"""Rules for a Python model's source, as far as they can be told without running it."""

from __future__ import annotations

import ast

__all__ = ["source_problem"]

_CLASS = "TritonPythonModel"


def source_problem(source: bytes) -> str:
    """Why Triton cannot load this source, or an empty text.

    A name that is bound in any other way than a class of it is left to Triton.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        place = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        return f"is no Python{place}: {error.msg if isinstance(error, SyntaxError) else error}"
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
    return "" if names & {_CLASS, "*"} else f"has no class {_CLASS}"
