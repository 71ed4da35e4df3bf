"""Rules for the structure of an ensemble: its fields, the flow of its tensors, and cycles.

Triton loads no ensemble of a cycle, nor one that needs it, and refuses steps and outputs that join
answers of different decoupled models, which cannot be paired. Source: `ValidateEnsembleConfig` in
triton-inference-server/core, `ensemble_utils.cc`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from trimaran.checks.finding import Problems, error
from trimaran.repository.config import ModelConfig, is_ensemble

__all__ = [
    "check_cycles",
    "check_decoupling",
    "check_ensemble",
    "check_flow",
    "find_cycle",
    "is_decoupled",
]

_ONE_SOURCE = "join only the outputs of one decoupled step"


def check_ensemble(config: ModelConfig) -> Problems:
    """Fields that an ensemble may not have, and steps that say too little."""
    if config.platform != "ensemble":
        yield error(
            "platform",
            f"there are steps but platform is {config.platform!r}",
            'write platform: "ensemble"',
        )
    if not config.ensemble_scheduling.step:
        yield error(
            "ensemble_scheduling",
            "an ensemble needs at least one step in ensemble_scheduling",
            "add one",
        )
    for field in ("instance_group", "dynamic_batching", "optimization", "model_warmup", "backend"):
        repeated = field in ("instance_group", "model_warmup")
        value = getattr(config, field)
        if bool(value) if repeated or field == "backend" else config.HasField(field):
            yield error(field, f"an ensemble takes no {field}", "set it in the steps' own models")
    for item in (*config.input, *config.output):
        if item.HasField("reshape"):
            # Triton compares the reshape with the steps' dims, and never applies it.
            yield error(
                f"{item.name}.reshape",
                f"ensemble tensor {item.name!r} has a reshape",
                "put it into the step's model",
            )
    for index, step in enumerate(config.ensemble_scheduling.step):
        field = f"ensemble_scheduling.step[{index}]"
        name = step.model_name or str(index)
        if not step.model_name:
            yield error(f"{field}.model_name", f"step {index} names no model", "name one")
        for which in ("input_map", "output_map"):
            if not getattr(step, which):
                yield error(f"{field}.{which}", f"step {name!r} has no {which}", "map its tensors")
        if step.model_version < 1 and step.model_version != -1:
            yield error(
                f"{field}.model_version",
                f"step {name!r} has model_version {step.model_version}",
                "write a version's number, or -1 for the newest",
            )


def check_flow(config: ModelConfig) -> Problems:
    """Tensors that are made twice, never, or for nobody."""
    steps = config.ensemble_scheduling.step
    inputs, outputs = [i.name for i in config.input], [o.name for o in config.output]
    makers = Counter(tensor for step in steps for tensor in step.output_map.values())
    for step in steps:
        for tensor in step.output_map.values():
            if makers[tensor] > 1 and step.model_name == _last_maker(config, tensor):
                yield error(
                    "ensemble_scheduling",
                    f"tensor {tensor!r} is produced twice, the second time by step "
                    f"{step.model_name!r}",
                    "give one of them another name",
                )
                makers[tensor] = 1
            if tensor in inputs:
                yield error(
                    "ensemble_scheduling",
                    f"tensor {tensor!r} is produced twice, the second time by step "
                    f"{step.model_name!r}, since it is an input",
                    "give the step's another name",
                )
    ready, waiting = set(inputs), list(steps)
    while runnable := [step for step in waiting if set(step.input_map.values()) <= ready]:
        for step in runnable:
            waiting.remove(step)
            ready.update(step.output_map.values())
    for step in waiting[:1]:
        missing = sorted(set(step.input_map.values()) - ready)
        yield error(
            "ensemble_scheduling",
            f"step {step.model_name!r} waits for tensor {missing[0]!r}, which no input and no "
            f"earlier step provides",
            "map it to an existing tensor",
        )
    used = {tensor for step in steps for tensor in step.input_map.values()}
    for name in inputs:
        if name not in used:
            yield error(
                f"input.{name}", f"input {name!r} is used by no step", "map it to one or remove it"
            )
    for name in outputs:
        if not waiting and name not in ready:
            yield error(
                f"output.{name}",
                f"output {name!r} is produced by no step",
                "map a step's output to it, or remove it",
            )
    for tensor in sorted(set(makers) - used - set(outputs)):
        yield error(
            "ensemble_scheduling",
            f"tensor {tensor!r} is produced but never used, and is not an output of the ensemble",
            "leave it out of the output_map",
        )


def _last_maker(config: ModelConfig, tensor: str) -> str:
    steps = config.ensemble_scheduling.step
    return [step.model_name for step in steps if tensor in step.output_map.values()][-1]


def check_cycles(name: str, models: Mapping[str, ModelConfig]) -> Problems:
    """The cycle that an ensemble is in or leads to; `models` has every configuration, by name."""
    cycle = find_cycle(name, models)
    if cycle:
        yield error(
            "ensemble_scheduling",
            f"its steps form a cycle: {' -> '.join(cycle)}",
            "take one of these steps out",
        )


def find_cycle(name: str, models: Mapping[str, ModelConfig]) -> tuple[str, ...]:
    """The first cycle that is reached from a model, its first name again at the end, or `()`."""
    path: list[str] = []
    pending: list[tuple[str, list[str]]] = [(name, _steps_of(name, models))]
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
            pending.append((following, _steps_of(following, models)))
    return ()


def _steps_of(name: str, models: Mapping[str, ModelConfig]) -> list[str]:
    if name not in models:
        return []
    return list(dict.fromkeys(s.model_name for s in models[name].ensemble_scheduling.step))


def is_decoupled(name: str, models: Mapping[str, ModelConfig]) -> bool:
    """Whether a model, or any step of an ensemble at any depth, is decoupled."""
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
                    _ONE_SOURCE,
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
            _ONE_SOURCE,
        )
