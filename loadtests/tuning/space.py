"""Which settings a search tries, as Optuna's distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from loadtests.tuning.knobs import THREAD_PARAMETERS, Knobs, read_knobs
from trimaran.repository.config import ModelConfig

__all__ = ["knobs_of", "parameters_of", "space"]

_BATCHES = (0, 1, 4, 8, 16, 32)
_DELAYS_US = (0, 200, 1000, 5000)


def space(configs: Mapping[str, ModelConfig], cores: int) -> dict[str, BaseDistribution]:
    """The distributions by name, `<model>.<setting>`, for every model that has settings.

    Up to two instances and one thread for each core, and batches within the model's maximum. The
    settings that a model has now are among the choices.
    """
    found: dict[str, BaseDistribution] = {}
    for model, config in configs.items():
        own = read_knobs(config)
        if own is None:
            continue
        found[f"{model}.instances"] = IntDistribution(1, max(2 * cores, own.instances))
        if config.backend in THREAD_PARAMETERS:
            found[f"{model}.threads"] = _among(own.threads, range(1, cores + 1))
        if config.max_batch_size > 1:
            most = config.max_batch_size
            batches = [size for size in _BATCHES if size <= most]
            found[f"{model}.batch"] = _among(own.batch, batches)
            found[f"{model}.delay_us"] = _among(own.delay_us, _DELAYS_US)
    return found


def parameters_of(configs: Mapping[str, ModelConfig], names: Mapping[str, Any]) -> dict[str, int]:
    """The settings that the models have now, by the names of `names`."""
    found = {}
    for model, config in configs.items():
        own = read_knobs(config)
        for setting in ("instances", "threads", "batch", "delay_us") if own else ():
            if f"{model}.{setting}" in names:
                found[f"{model}.{setting}"] = getattr(own, setting)
    return found


def knobs_of(configs: Mapping[str, ModelConfig], parameters: Mapping[str, int]) -> dict[str, Knobs]:
    """Each model's settings, from a trial's parameters by name."""
    found = {}
    for model, config in configs.items():
        own = read_knobs(config)
        if own is None:
            continue
        found[model] = Knobs(
            instances=parameters.get(f"{model}.instances", own.instances),
            threads=parameters.get(f"{model}.threads", own.threads),
            batch=parameters.get(f"{model}.batch", own.batch),
            delay_us=parameters.get(f"{model}.delay_us", own.delay_us),
        )
    return found


def _among(own: int, values: Any) -> CategoricalDistribution:
    return CategoricalDistribution(sorted({own, *values}))
