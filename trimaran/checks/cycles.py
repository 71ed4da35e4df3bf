"""Ensembles that are steps of one another: Triton loads none of a circle, nor what needs it."""

from __future__ import annotations

from collections.abc import Mapping

from trimaran.checks.finding import Problems, error
from trimaran.repository.config import ModelConfig

__all__ = ["check_cycles", "find_cycle"]


def check_cycles(name: str, models: Mapping[str, ModelConfig]) -> Problems:
    """The circle that an ensemble is in or leads to; `models` has every configuration, by name."""
    circle = find_cycle(name, models)
    if circle:
        yield error(
            "ensemble_scheduling",
            f"its steps lead back to themselves: {' -> '.join(circle)}",
            "take one of these steps out",
        )


def find_cycle(name: str, models: Mapping[str, ModelConfig]) -> tuple[str, ...]:
    """The first circle that is reached from a model, its first name again at the end, or `()`."""
    path: list[str] = []
    pending: list[tuple[str, list[str]]] = [(name, _steps(name, models))]
    done: set[str] = set()
    path.append(name)
    while pending:
        current, steps = pending[-1]
        if not steps:
            pending.pop()
            path.pop()
            done.add(current)
            continue
        following = steps.pop(0)
        if following in path:
            return (*path[path.index(following) :], following)
        if following not in done:
            path.append(following)
            pending.append((following, _steps(following, models)))
    return ()


def _steps(name: str, models: Mapping[str, ModelConfig]) -> list[str]:
    if name not in models:
        return []
    return list(dict.fromkeys(s.model_name for s in models[name].ensemble_scheduling.step))
