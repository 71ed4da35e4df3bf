"""Whether an ensemble's step maps fit: every tensor fed once, dtypes and full shapes equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trimaran.config import ModelConfig, inputs_of, is_ensemble, outputs_of
from trimaran.errors import ConfigError
from trimaran.tensors import TensorSpec, describe_shape, shapes_agree

__all__ = ["check_wiring", "step_models"]


@dataclass(frozen=True)
class _Source:
    """A tensor as its producer declares it, with the batch axis where there is one."""

    description: str
    dtype: str
    shape: tuple[int, ...]
    optional: bool


def step_models(ensemble: ModelConfig) -> list[str]:
    """The models that an ensemble's steps name, each once, in order."""
    return list(dict.fromkeys(step.model_name for step in ensemble.ensemble_scheduling.step))


def check_wiring(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> None:
    """Refuse an ensemble that Triton would refuse, or that would fail on its first request.

    `models` has the configuration of every step's model, by name. Raises `ConfigError` naming
    the step, the tensor, and both sides.
    """
    for problem in _problems(ensemble, models):
        raise ConfigError(f"ensemble {ensemble.name}: {problem}")


def _problems(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> Iterator[str]:
    for name in step_models(ensemble):
        if name not in models:
            yield f"step model {name!r} is not in the repository"
            return
        if is_ensemble(models[name]):
            yield f"step {name!r} is itself an ensemble; list its steps here instead"
            return
    yield from _batch_problems(ensemble, models)
    available = {spec.name: _source(ensemble, spec, "the ensemble") for spec in inputs_of(ensemble)}
    waiting = list(ensemble.ensemble_scheduling.step)
    while waiting:
        ready = [step for step in waiting if set(step.input_map.values()) <= available.keys()]
        if not ready:
            missing = sorted(set(waiting[0].input_map.values()) - available.keys())
            yield (
                f"step {waiting[0].model_name!r} waits for tensor {missing[0]!r}, which no input "
                "and no earlier step provides"
            )
            return
        for step in ready:
            waiting.remove(step)
            yield from _step_problems(step, models[step.model_name], available)
    yield from _unused_problems(ensemble)
    yield from _output_problems(ensemble, available)


def _batch_problems(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> Iterator[str]:
    for name in step_models(ensemble):
        limit = models[name].max_batch_size
        if 0 < limit < ensemble.max_batch_size:
            yield (
                f"max_batch_size is {ensemble.max_batch_size} but step {name!r} takes at most "
                f"{limit}; lower the ensemble's"
            )


def _step_problems(step, model: ModelConfig, available: dict[str, _Source]) -> Iterator[str]:  # type: ignore[no-untyped-def]
    name = step.model_name
    inputs = {spec.name: spec for spec in inputs_of(model)}
    outputs = {spec.name: spec for spec in outputs_of(model)}
    for tensor in sorted(step.input_map.keys() - inputs.keys()):
        yield f"step {name!r} has no input {tensor!r}; it has {', '.join(inputs)}"
        return
    for tensor in sorted(step.output_map.keys() - outputs.keys()):
        yield f"step {name!r} has no output {tensor!r}; it has {', '.join(outputs)}"
        return
    for tensor, spec in inputs.items():
        if tensor not in step.input_map:
            if not spec.optional:
                yield f"step {name!r}: input {tensor!r} is not in its input_map"
            continue
        source = available[step.input_map[tensor]]
        target = _source(model, spec, f"step {name!r}")
        yield from _mismatch(step.input_map[tensor], source, target)
        if source.optional and not target.optional:
            yield (
                f"tensor {step.input_map[tensor]!r} is optional in {source.description} but "
                f"{target.description} needs it; make both optional, or neither"
            )
    for tensor, target_name in step.output_map.items():
        if target_name in available:
            yield f"tensor {target_name!r} is produced twice, the second time by step {name!r}"
        available[target_name] = _source(model, outputs[tensor], f"step {name!r}")


def _unused_problems(ensemble: ModelConfig) -> Iterator[str]:
    used = {
        tensor for step in ensemble.ensemble_scheduling.step for tensor in step.input_map.values()
    }
    for spec in inputs_of(ensemble):
        if spec.name not in used:
            yield f"input {spec.name!r} is used by no step; map it to one or remove it"


def _output_problems(ensemble: ModelConfig, available: Mapping[str, _Source]) -> Iterator[str]:
    for spec in outputs_of(ensemble):
        if spec.name not in available:
            yield f"output {spec.name!r} is produced by no step"
            continue
        yield from _mismatch(
            spec.name, available[spec.name], _source(ensemble, spec, "the ensemble")
        )


def _mismatch(tensor: str, source: _Source, target: _Source) -> Iterator[str]:
    if source.dtype != target.dtype or not shapes_agree(source.shape, target.shape):
        yield (
            f"tensor {tensor!r} is {source.dtype} {describe_shape(source.shape)} from "
            f"{source.description} but {target.dtype} {describe_shape(target.shape)} in "
            f"{target.description}"
        )


def _source(config: ModelConfig, spec: TensorSpec, description: str) -> _Source:
    batch = (-1,) if config.max_batch_size > 0 else ()
    return _Source(description, spec.dtype.triton, (*batch, *spec.dims), spec.optional)
