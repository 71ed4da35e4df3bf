"""What a run's figures say about each question of the checklist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimaran.rollout.runs.figures import Figures
from trimaran.rollout.runs.readiness import Readiness
from trimaran.rollout.runs.story import canary_text

__all__ = ["hints_of"]

_SHOWN = 5
_OF_GATES = {
    "slices": "bias",
    "parity": "readiness",
    "latency": "readiness",
    "folds": "overfitting",
}
"""The question that a gate of a retraining helps with."""


def hints_of(
    figures: Figures,
    ready: Readiness | None,
    compared: Mapping[str, Any],
    tried: Mapping[str, Any],
) -> Mapping[str, str]:
    """A line or two for the questions that figures can help with, by item.

    `ready` is what was measured of the run; None where that is gone. `compared` is what the ledger
    says of a retrained run beside the live one, and `tried` of its canary; empty of any other.
    """
    found = {
        "performance": _performance(figures),
        "overfitting": _overfitting(figures),
        "bias": _bias(figures),
        "features": _features(figures),
        "goal": _goal(figures),
        "readiness": _readiness(ready),
    }
    for each in compared.get("gates", ()):
        item = _OF_GATES.get(each["name"], "performance")
        mark = "" if each["passed"] else ", FAILED"
        said = f"{each['name']}{mark}: {each['says']}"
        found[item] = "\n".join(filter(None, [found[item], said]))
    if tried:
        said = f"canary, {canary_text(tried)}"
        found["readiness"] = "\n".join([found["readiness"], said])
    return {name: hint for name, hint in found.items() if hint}


def _performance(figures: Figures) -> str:
    if figures.value is None:
        return "No outcome is known."
    low, high = figures.interval or (figures.value, figures.value)
    return (
        f"{figures.metric} {figures.value:.3f}, 95 % interval {low:.3f} to {high:.3f}, on "
        f"{figures.tested} rows"
    )


def _overfitting(figures: Figures) -> str:
    if figures.validation is None or figures.value is None:
        return ""
    return (
        f"{figures.metric} {figures.validation:.3f} on the validation part, {figures.value:.3f} on "
        "the test part"
    )


def _bias(figures: Figures) -> str:
    """The groups with the lowest, or of errors the highest, first score."""
    scored = []
    for each in figures.slices:
        name, value = next(iter(each.scores.items()))
        if value is not None and not each.small:
            said = f"{each.field} = {each.group}: {name} {value:.3f} of {each.rows} rows"
            scored.append((value, said))
    scored.sort(reverse=figures.less_is_better)
    worst = [said for _, said in scored[:_SHOWN]]
    return "\n".join(["The weakest groups:", *worst]) if worst else ""


def _features(figures: Figures) -> str:
    names = [f"{each['field']} ({each['loss_rise']:.3f})" for each in figures.importance[:_SHOWN]]
    return f"By the rise of the loss when shuffled: {', '.join(names)}" if names else ""


def _goal(figures: Figures) -> str:
    if figures.goal is not None:
        return f"The goal is {figures.metric} {figures.goal:g}"
    best = sorted(figures.baselines.items(), key=lambda each: each[1])
    if not best:
        return ""
    name, value = best[0 if figures.less_is_better else -1]
    return f"The best other model, {name}, has {figures.metric} {value:.3f}"


def _readiness(ready: Readiness | None) -> str:
    return "It was not measured." if ready is None else "\n".join(ready.sentences())
