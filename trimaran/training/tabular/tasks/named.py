"""The tasks by name, as a schema names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.tasks.multiclass import Multiclass
from trimaran.training.tabular.tasks.regression import Regression
from trimaran.training.tabular.tasks.task import Task

__all__ = ["DEFAULT", "TASKS", "task_of"]

TASKS: Mapping[str, type[Task]] = {each.name: each for each in (Binary, Multiclass, Regression)}
DEFAULT = Binary.name


def task_of(found: Mapping[str, Any]) -> Task:
    """The inverse of `Task.as_dict`. Raises `KeyError` and `TypeError` for anything else."""
    options = {name: value for name, value in found.items() if name != "task"}
    return TASKS[found["task"]](**options)
