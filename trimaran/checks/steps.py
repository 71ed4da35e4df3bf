"""Rules for an ensemble and the models of its steps: names, types, shapes, batches, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trimaran.checks.ensemble import check_flow
from trimaran.checks.finding import Problems, error, warning
from trimaran.repository.config import ModelConfig, is_ensemble
from trimaran.repository.dtypes import describe_shape, shapes_agree
from trimaran.repository.protocol import protocol

__all__ = ["check_nesting", "check_pins", "check_steps", "check_wired", "floating_steps"]


@dataclass(frozen=True)
class _Source:
    """A tensor as its producer declares it, with the batch axis where there is one."""

    description: str
    dtype: str
    dims: tuple[int, ...]
    shape: tuple[int, ...]
    optional: bool


def check_wired(
    ensemble: ModelConfig,
    models: Mapping[str, ModelConfig],
    unknown: frozenset[str] = frozenset(),
) -> Problems:
    """Everything that follows from the configurations of an ensemble and its steps.

    `models` has the configuration of every step's model, by name. Those in `unknown` may have
    other tensors.
    """
    absent = False
    for name in dict.fromkeys(step.model_name for step in ensemble.ensemble_scheduling.step):
        if name not in models:
            absent = True
            yield error(
                "ensemble_scheduling",
                f"step model {name!r} is not in the repository",
                "correct the name, or add the model",
            )
    if not absent:
        yield from check_steps(ensemble, models, unknown)
    yield from check_flow(ensemble)


def check_nesting(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> Problems:
    """Ensembles as steps: Triton serves them, but a release of trimaran cannot pin them."""
    for name in dict.fromkeys(step.model_name for step in ensemble.ensemble_scheduling.step):
        if name in models and is_ensemble(models[name]):
            yield warning(
                "ensemble_scheduling",
                f"step {name!r} is itself an ensemble",
                "list its steps here instead",
            )


def check_steps(
    ensemble: ModelConfig,
    models: Mapping[str, ModelConfig],
    unknown: frozenset[str] = frozenset(),
) -> Problems:
    """Maps, types, full shapes and batch limits, where all models are there."""
    for name in dict.fromkeys(step.model_name for step in ensemble.ensemble_scheduling.step):
        limit = models[name].max_batch_size
        if 0 < limit < ensemble.max_batch_size:
            yield error(
                "max_batch_size",
                f"max_batch_size is {ensemble.max_batch_size} but step {name!r} takes at most "
                f"{limit}",
                "lower the ensemble's",
            )
    made = _made(ensemble, models)
    batched = ensemble.max_batch_size > 0
    for index, step in enumerate(ensemble.ensemble_scheduling.step):
        if step.model_name not in unknown:
            yield from _step(index, step, models[step.model_name], made, batched=batched)
    for item in ensemble.output:
        if item.name in made:
            yield from _mismatch(
                f"output.{item.name}",
                item.name,
                made[item.name],
                _source(ensemble, item, "the ensemble"),
                batched=batched,
            )


def _made(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> dict[str, _Source]:
    """Every tensor that flows, as its first producer declares it."""
    made = {item.name: _source(ensemble, item, "the ensemble") for item in ensemble.input}
    for step in ensemble.ensemble_scheduling.step:
        model = models[step.model_name]
        outputs = {item.name: item for item in model.output}
        for own, tensor in step.output_map.items():
            if own in outputs and tensor not in made:
                made[tensor] = _source(model, outputs[own], f"step {step.model_name!r}")
    return made


def _step(
    index: int,
    step: protocol.ModelEnsembling.Step,
    model: ModelConfig,
    made: Mapping[str, _Source],
    *,
    batched: bool,
) -> Problems:
    name, field = step.model_name, f"ensemble_scheduling.step[{index}]"
    inputs = {item.name: item for item in model.input}
    outputs = {item.name: item for item in model.output}
    for kind, mapped, known in (
        ("input", step.input_map, inputs.keys()),
        ("output", step.output_map, outputs.keys()),
    ):
        for tensor in sorted(mapped.keys() - known):
            yield error(
                f"{field}.{kind}_map",
                f"step {name!r} has no {kind} {tensor!r}; it has {', '.join(known) or 'none'}",
                "map one of these",
            )
    for tensor, item in inputs.items():
        if tensor not in step.input_map:
            if not item.optional:
                yield error(
                    f"{field}.input_map",
                    f"step {name!r}: input {tensor!r} is not in its input_map",
                    "map it",
                )
            continue
        source = made.get(step.input_map[tensor])
        if source is None:
            continue  # check_flow reports it
        target = _source(model, item, f"step {name!r}")
        yield from _mismatch(
            f"{field}.input_map", step.input_map[tensor], source, target, batched=batched
        )
        if source.optional and not target.optional:
            yield error(
                f"{field}.input_map",
                f"tensor {step.input_map[tensor]!r} is optional in {source.description} but "
                f"{target.description} needs it",
                "make both optional, or neither",
            )


def _mismatch(
    field: str, tensor: str, source: _Source, target: _Source, *, batched: bool
) -> Problems:
    if "INVALID" in (source.dtype, target.dtype) or not (source.dims and target.dims):
        return  # It is reported where it is declared, or the model completes it.
    if source.dtype != target.dtype or not _fits(source, target, batched=batched):
        yield error(
            field,
            f"tensor {tensor!r} is {source.dtype} {describe_shape(source.shape)} from "
            f"{source.description} but {target.dtype} {describe_shape(target.shape)} in "
            f"{target.description}",
            "make them equal",
        )


def _fits(source: _Source, target: _Source, *, batched: bool) -> bool:
    """Whether a tensor can go from one model to the other.

    Where the ensemble has no batches, Triton adds and strips an axis of one row. Where it has, it
    also lets a model through that has none, whose requests then fail with more than one row.
    Source: `ValidateTensorConsistency` and `ReshapeTensorDims` in triton-inference-server/core.
    """
    if shapes_agree(source.shape, target.shape):
        return True
    return not batched and shapes_agree(source.dims, target.dims)


def _source(
    config: ModelConfig, item: protocol.ModelInput | protocol.ModelOutput, description: str
) -> _Source:
    dtype = protocol.DataType.Name(item.data_type).removeprefix("TYPE_")
    batch = (-1,) if config.max_batch_size > 0 else ()
    optional = isinstance(item, protocol.ModelInput) and item.optional
    return _Source(
        description,
        "BYTES" if dtype == "STRING" else dtype,
        tuple(item.dims),
        (*batch, *item.dims),
        optional,
    )


def check_pins(ensemble: ModelConfig, served: Mapping[str, tuple[int, ...]]) -> Problems:
    """Step versions that are not served; `served` has each model's, by name."""
    for index, step in enumerate(ensemble.ensemble_scheduling.step):
        field, name = f"ensemble_scheduling.step[{index}].model_version", step.model_name
        versions = served.get(name)
        if versions is None:
            continue
        if not versions:
            yield error(
                field,
                f"step {name!r} has no version to serve",
                "publish one, or correct its version_policy",
            )
        elif step.model_version > 0 and step.model_version not in versions:
            yield error(
                field,
                f"step {name!r} is pinned to version {step.model_version}, but its version_policy "
                f"serves {', '.join(map(str, versions))}",
                "pin a version that is served",
            )


def floating_steps(ensemble: ModelConfig) -> Problems:
    """Steps of a live ensemble that follow whatever version is newest."""
    for index, step in enumerate(ensemble.ensemble_scheduling.step):
        if step.model_version == -1:
            yield warning(
                f"ensemble_scheduling.step[{index}].model_version",
                f"step {step.model_name!r} is not pinned, so publishing its model changes the "
                f"ensemble",
                "pin a version, or make a release with 'trimaran release'",
            )
