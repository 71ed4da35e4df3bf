"""Steps and outputs that join the answers of different decoupled models, which cannot be paired.

Source: `ValidateEnsembleConfig` in triton-inference-server/core, `ensemble_utils.cc`.
"""

from __future__ import annotations

from collections.abc import Mapping

from trimaran.checks.finding import Problems, error
from trimaran.repository.config import ModelConfig, is_ensemble

__all__ = ["check_decoupling", "is_decoupled"]

_REMEDY = "join what comes from one decoupled step alone"


def is_decoupled(name: str, models: Mapping[str, ModelConfig]) -> bool:
    """Whether a model, or any step of an ensemble at any depth, answers as often as it likes."""
    seen: set[str] = set()
    pending = [name]
    while pending:
        current = pending.pop()
        if current in seen or current not in models:
            continue
        seen.add(current)
        config = models[current]
        if config.model_transaction_policy.decoupled:
            return True
        if is_ensemble(config):
            pending += [step.model_name for step in config.ensemble_scheduling.step]
    return False


def check_decoupling(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> Problems:
    """The first join; `models` has every configuration, by name."""
    steps = list(enumerate(ensemble.ensemble_scheduling.step))
    # What a tensor comes from last: the index of a decoupled step, or -1 for the request itself.
    origin = dict.fromkeys((item.name for item in ensemble.input), -1)
    while runnable := [s for s in steps if all(t in origin for t in s[1].input_map.values())]:
        for index, step in runnable:
            steps.remove((index, step))
            origins = {origin[tensor] for tensor in step.input_map.values()}
            if len(origins) > 1:
                yield error(
                    f"ensemble_scheduling.step[{index}].input_map",
                    f"step {step.model_name!r} joins answers of different decoupled models",
                    _REMEDY,
                )
                return
            own = is_decoupled(step.model_name, models)
            for tensor in step.output_map.values():
                origin.setdefault(tensor, index if own else min(origins, default=-1))
    outputs = {origin[item.name] for item in ensemble.output if item.name in origin}
    if len(outputs) > 1:
        yield error(
            "output",
            "the ensemble's outputs join answers of different decoupled models",
            _REMEDY,
        )
