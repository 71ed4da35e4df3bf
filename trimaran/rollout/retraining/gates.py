"""What a retrained run must pass, each gate as a pure function of what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from trimaran.rollout.retrain_plan import RetrainPlan
from trimaran.rollout.retraining.comparison import Comparison, SliceChange
from trimaran.stats.bootstrap import Ratio
from trimaran.stats.intervals import Estimate
from trimaran.training.tabular.tasks.task import Task
from trimaran.training.tabular.wording import shown

__all__ = [
    "Gate",
    "comparison_gate",
    "folds_gate",
    "latency_gate",
    "parity_gate",
    "slices_gate",
]


@dataclass(frozen=True)
class Gate:
    """One gate, and what it found in a clause."""

    name: str
    passed: bool
    says: str


def comparison_gate(plan: RetrainPlan, task: Task, found: Comparison) -> Gate:
    """The new run is better than the live one, or at least matches it, as the plan says."""
    name = "beats the live run" if plan.must_beat else "matches the live run"
    if found.gain is None or found.new is None or found.live is None:
        return Gate(name, passed=False, says=f"{found.rows} rows are too few to compare on")
    passed = found.word == "better" or (found.word == "matches" and not plan.must_beat)
    words = {
        "better": "it is better",
        "matches": f"it is not worse by more than {shown(found.margin)}",
        "worse": "it is worse",
        "unsure": "it may be better or worse",
        "too few": "",
    }
    says = (
        f"{task.title} {shown(found.new)} and {shown(found.live)} of the live run, "
        f"{_interval(found.gain)} in its favour on the same {found.rows} rows: {words[found.word]}"
    )
    return Gate(name, passed, says)


def parity_gate(problem: str) -> Gate:
    """Its exported network answers as it does in PyTorch; `problem` is what the export said."""
    return Gate("parity", not problem, problem or "the exported network answers as PyTorch does")


def slices_gate(found: Sequence[SliceChange], most: float) -> Gate:
    """No group of rows loses more than `most` of the main metric, by the whole interval."""
    told = [
        f"{each.field} = {each.group} ({_interval(each.gain)}, {each.rows} rows)"
        for each in found
        if each.word == "falls" and each.gain
    ]
    if told:
        return Gate("slices", passed=False, says=f"worse for {', '.join(told)}")
    kinds = Counter(each.word for each in found)
    judged = kinds.total() - kinds["few"]
    few = f"; {kinds['few']} of too few rows are not judged" if kinds["few"] else ""
    if not judged:
        return Gate("slices", passed=True, says=f"no group has enough rows to judge{few}")
    some = f"; {kinds['unsure']} may" if kinds["unsure"] else ""
    says = f"none of {judged} groups surely falls by more than {most:g}{some}{few}"
    return Gate("slices", passed=True, says=says)


def latency_gate(ratio: Ratio, most: float) -> Gate:
    """The network is not slower than `most` times the live one, by the whole interval."""
    return Gate("latency", ratio.low <= most, f"{ratio} times the live network's, at most {most:g}")


def folds_gate(task: Task, values: Sequence[float], found: Estimate, least: float) -> Gate:
    """The mean over the folds is not surely worse than `least`, the live run's value less a margin.

    So a model that is good on a lucky test part alone does not pass.
    """
    best = max(task.goodness(found.low), task.goodness(found.high))
    says = (
        f"{task.title} {shown(found.value)} ({shown(found.low)} to {shown(found.high)}) over "
        f"{len(values)} folds, and {shown(least)} is needed"
    )
    return Gate("folds", best >= task.goodness(least), says)


def _interval(found: Estimate) -> str:
    return f"{_signed(found.value)} ({_signed(found.low)} to {_signed(found.high)})"


def _signed(value: float) -> str:
    return shown(value) if value < 0 else f"+{shown(value)}"
