"""Mutations of an ensemble: its steps, their maps, and fields that it may not have."""

from __future__ import annotations

from random import Random

from tritonclient.grpc import model_config_pb2 as protocol

from conformance.mutations.repositories import Draft

__all__ = ["mutate_forbidden", "mutate_maps", "mutate_steps"]

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
