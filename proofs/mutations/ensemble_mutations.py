"""Mutations of an ensemble: its steps, their maps, and fields that it may not have."""

from __future__ import annotations

from random import Random

from proofs.mutations.repositories import Draft
from trimaran.repository.protocol import protocol

__all__ = ["mutate_forbidden", "mutate_maps", "mutate_nesting", "mutate_steps"]

_NAMES = ("", "x", "y", "z", "X", "Y", "M", "N", "NOTE")


def mutate_steps(rng: Random, draft: Draft) -> str:
    """Another step of an ensemble."""
    folder = next(draft.ensembles(), None)
    if folder is None or folder.config is None:
        return ""
    steps = folder.config.ensemble_scheduling.step
    index = rng.randrange(len(steps))
    step = steps[index]
    match rng.randrange(8):
        case 0:
            step.model_name = rng.choice(["", "nothing", folder.config.name, *draft.folders])
            return f"step {index} model_name: {step.model_name!r}"
        case 1 | 2:
            step.model_version = rng.choice([-2, 0, 1, 2, 3])
            return f"step {index} model_version: {step.model_version}"
        case 3:
            del steps[index]
            return f"step {index} removed"
        case 4:
            steps.add().CopyFrom(step)
            return f"step {index} doubled"
        case 5:
            copy = steps.add()
            copy.CopyFrom(step)
            for key in copy.output_map:
                copy.output_map[key] = "again"
            return f"step {index} repeated into another tensor"
        case 6:
            other = rng.randrange(len(steps))
            first, second = protocol.ModelEnsembling.Step(), protocol.ModelEnsembling.Step()
            first.CopyFrom(step)
            second.CopyFrom(steps[other])
            steps[other].CopyFrom(first)
            step.CopyFrom(second)
            return f"steps {index} and {other} swapped"
        case _:
            folder.config.ensemble_scheduling.Clear()
            folder.config.ensemble_scheduling.SetInParent()
            return "all steps removed"


def mutate_maps(rng: Random, draft: Draft) -> str:
    """Another entry of a map of a step."""
    folder = next(draft.ensembles(), None)
    if folder is None or folder.config is None:
        return ""
    step = rng.choice(folder.config.ensemble_scheduling.step)
    which = rng.choice(["input_map", "output_map"])
    mapped = getattr(step, which)
    key = rng.choice(sorted(mapped))
    match rng.randrange(4):
        case 0:
            mapped[key] = rng.choice(_NAMES)
            what = f"{key} to {mapped[key]!r}"
        case 1:
            new = rng.choice(_NAMES)
            mapped[new] = mapped[key]
            if new != key:
                del mapped[key]
            what = f"key {key} to {new!r}"
        case 2:
            del mapped[key]
            what = f"{key} removed"
        case _:
            mapped["other"] = rng.choice(_NAMES)
            what = f"other to {mapped['other']!r}"
    return f"{step.model_name} {which}: {what}"


def mutate_nesting(rng: Random, draft: Draft) -> str:
    """A circle of ensembles, answers of different decoupled models, or other batches."""
    folders = {name.partition("_")[2]: folder for name, folder in draft.folders.items()}
    outer, inner, many, join = (folders[name] for name in ("outer", "inner", "many", "join"))
    if outer.config is None or inner.config is None or join.config is None or many.config is None:
        return ""
    steps = outer.config.ensemble_scheduling.step
    match rng.randrange(9):
        case 0 | 1:
            config = rng.choice([outer.config, inner.config])
            step = inner.config.ensemble_scheduling.step[0]
            step.model_name = config.name
            step.input_map.clear()
            step.output_map.clear()
            step.input_map["X"], step.output_map["Y"] = "X", "Y"
            return f"inner is made of {config.name}"
        case 2:
            steps[2].input_map["z"] = rng.choice(["M", "X", "N"])
            return f"join takes {steps[2].input_map['z']}"
        case 3:
            copy = steps.add()
            copy.CopyFrom(steps[1])
            copy.output_map["y"] = "O"
            steps[2].input_map["z"] = "O"
            return "join takes answers of two decoupled steps"
        case 4:
            item = outer.config.output.add()
            item.CopyFrom(outer.config.output[0])
            item.name = rng.choice(["M", "N"])
            return f"{item.name} is an output too"
        case 5:
            config = rng.choice([join.config, many.config])
            config.model_transaction_policy.decoupled = not (
                config.model_transaction_policy.decoupled
            )
            return f"{config.name} decoupled: {config.model_transaction_policy.decoupled}"
        case 6:
            config = rng.choice([outer.config, inner.config, join.config, many.config])
            config.max_batch_size = rng.choice([0, 1, 4, 8])
            return f"{config.name} max_batch_size: {config.max_batch_size}"
        case 7:
            config = rng.choice([outer.config, inner.config, join.config, many.config])
            item = rng.choice([*config.input, *config.output])
            item.dims[:] = rng.choice([(4,), (-1,), (-1, 4), (1, 4), (5,)])
            return f"{config.name} {item.name} dims: {list(item.dims)}"
        case _:
            steps[0].model_name = outer.config.name
            return "outer is made of itself"


def mutate_forbidden(rng: Random, draft: Draft) -> str:
    """A field that an ensemble may not have, or need not."""
    folder = next(draft.ensembles(), None)
    if folder is None or folder.config is None:
        return ""
    config, which = folder.config, rng.randrange(7)
    if which == 0:
        config.instance_group.add(count=1)
    elif which == 1:
        config.optimization.SetInParent()
    elif which == 2:
        config.model_warmup.add(name="w")
    elif which == 3:
        config.dynamic_batching.SetInParent()
    elif which == 4:
        config.parameters["a"].string_value = "b"
    elif which == 5:
        config.default_model_filename = "x"
    else:
        config.ensemble_scheduling.max_inflight_requests = 2
    return f"an ensemble with field number {which}"
