"""The tuned settings of a model: read from its configuration, searched, and written into a copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from trimaran.repository.config import ModelConfig, is_ensemble

__all__ = [
    "THREAD_PARAMETERS",
    "Knobs",
    "knobs_of",
    "parameters_of",
    "read_knobs",
    "space",
    "with_knobs",
]

THREAD_PARAMETERS: Mapping[str, str] = {
    "onnxruntime": "intra_op_thread_count",
    "pytorch": "INTRA_OP_THREAD_COUNT",
}
"""The parameter that limits an instance's threads, by backend."""

_BATCHES = (0, 1, 4, 8, 16, 32)
_DELAYS_US = (0, 200, 1000, 5000)


@dataclass(frozen=True)
class Knobs:
    """The settings of one model that change its speed and not its answers."""

    instances: int = 1
    threads: int = 0
    """For each instance; 0 leaves it to the backend."""
    batch: int = 1
    """Rows that the dynamic batcher puts together: 1 is none, 0 as many as wait."""
    delay_us: int = 0
    """How long a request may wait for others, in microseconds."""

    def __str__(self) -> str:
        words = [f"{self.instances} instance{'s' if self.instances > 1 else ''}"]
        if self.threads:
            words.append(f"{self.threads} thread{'s' if self.threads > 1 else ''} each")
        if self.batch == 1:
            words.append("no batching")
        else:
            words.append("batches as they come" if self.batch == 0 else f"batches of {self.batch}")
            if self.delay_us:
                words.append(f"{self.delay_us} µs of delay")
        return ", ".join(words)


def read_knobs(config: ModelConfig) -> Knobs | None:
    """A model's settings; `None` for one that has none: an ensemble, or one on several devices."""
    if is_ensemble(config) or len(config.instance_group) > 1:
        return None
    parameter = THREAD_PARAMETERS.get(config.backend, "")
    threads = config.parameters[parameter].string_value if parameter in config.parameters else ""
    batching = config.dynamic_batching
    preferred = list(batching.preferred_batch_size)
    return Knobs(
        instances=(config.instance_group[0].count if config.instance_group else 0) or 1,
        threads=int(threads) if threads.isdecimal() else 0,
        batch=(preferred[-1] if preferred else 0) if config.HasField("dynamic_batching") else 1,
        delay_us=batching.max_queue_delay_microseconds,
    )


def with_knobs(config: ModelConfig, knobs: Knobs) -> ModelConfig:
    """A copy of the configuration with these settings, and nothing else changed."""
    tuned = ModelConfig()
    tuned.CopyFrom(config)
    if not tuned.instance_group:
        tuned.instance_group.add()
    tuned.instance_group[0].count = knobs.instances
    parameter = THREAD_PARAMETERS.get(config.backend)
    if parameter and knobs.threads:
        tuned.parameters[parameter].string_value = str(knobs.threads)
    if knobs.batch == 1:
        tuned.ClearField("dynamic_batching")
        return tuned
    batching = tuned.dynamic_batching
    batching.SetInParent()
    batching.max_queue_delay_microseconds = knobs.delay_us
    del batching.preferred_batch_size[:]
    if knobs.batch > 1:
        batching.preferred_batch_size.append(knobs.batch)
    return tuned


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
