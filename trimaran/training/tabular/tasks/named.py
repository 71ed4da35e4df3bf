"""The tasks by name, as a schema names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from trimaran.system.csv_rows import number_in
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.training.tabular.evaluation.costs import KEYS
from trimaran.training.tabular.tasks.binary import Binary
from trimaran.training.tabular.tasks.costed import CostedBinary
from trimaran.training.tabular.tasks.multiclass import Multiclass
from trimaran.training.tabular.tasks.regression import Regression
from trimaran.training.tabular.tasks.task import Task
from trimaran.training.tabular.wording import nearest

__all__ = ["DEFAULT", "TASKS", "infer_task", "task_of", "with_costs"]

TASKS: Mapping[str, type[Task]] = {each.name: each for each in (Binary, Multiclass, Regression)}
DEFAULT = Binary.name

_FEW = 20
"""So many numbers may be classes."""
_YES = frozenset({"yes", "y", "true", "t", "1", "positive"})


def task_of(found: Mapping[str, Any]) -> Task:
    """The inverse of `Task.as_dict`. Raises `KeyError` and `TypeError` for anything else."""
    options = {name: value for name, value in found.items() if name != "task"}
    costs = {key: options.pop(key) for key in KEYS if key in options}
    return with_costs(TASKS[found["task"]](**options), costs)


def with_costs(task: Task, costs: Mapping[str, float]) -> Task:
    """The task with these costs of errors, by the keys of a schema, in place of its own.

    Raises `UsageError` for a task whose errors have no costs, where one of both costs is not known,
    and for one that is no number above 0.
    """
    if not costs:
        return task
    if not isinstance(task, Binary):
        raise UsageError(
            f"costs of missed rows and of alarms are for the task {Binary.name}; leave them out "
            f"for {task.name}"
        )
    known = {**task.as_dict(), **costs}
    for key in KEYS:
        if key not in known:
            (other,) = {*KEYS} - {key}
            raise UsageError(
                f"the cost of {KEYS[other]} is stated, and that of {KEYS[key]} is not; state both, "
                "as options or in the schema"
            )
    return CostedBinary(task.positive, **{key: float(known[key]) for key in KEYS})


def infer_task(
    target: Sequence[str], largest: float, name: str | None = None, positive: str | None = None
) -> Task:
    """The task of a target's texts, empty where missing; `largest` is that of its numbers.

    `name` and `positive` are what a person said. Two values are a binary outcome, many numbers a
    number, and anything else classes. Raises `UsageError` for an unknown name, and `TrimaranError`
    for a target without values.
    """
    counts = Counter(text for text in target if text)
    if not counts:
        raise TrimaranError("the target has no value in any row; add rows whose outcome is known")
    if name is None:
        numbers = [number_in(text, largest) for text in counts]
        is_number = all(each is not None for each in numbers) and len(counts) > _FEW
        several = Regression.name if is_number else Multiclass.name
        name = Binary.name if positive is not None or len(counts) <= 2 else several
    if name not in TASKS:
        raise UsageError(f"--task is {name!r}; {nearest(name, TASKS)}")
    if positive is not None and "positive" not in TASKS[name].keys:
        raise UsageError(f"--positive is for --task {Binary.name}; leave it out for {name}")
    if "positive" in TASKS[name].keys:
        return TASKS[name](positive=_means_yes(counts) if positive is None else positive)  # type: ignore[call-arg]
    return TASKS[name]()


def _means_yes(counts: Mapping[str, int]) -> str:
    """The value that means yes, or else the rarer one."""
    found = [value for value in counts if value.lower() in _YES]
    return found[0] if len(found) == 1 else min(sorted(counts), key=lambda value: counts[value])
