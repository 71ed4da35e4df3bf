"""What is tuned of a model's configuration: read from it, and written back into a copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trimaran.repository.config import ModelConfig, is_ensemble

__all__ = ["THREAD_PARAMETERS", "Knobs", "read_knobs", "with_knobs"]

THREAD_PARAMETERS: Mapping[str, str] = {
    "onnxruntime": "intra_op_thread_count",
    "pytorch": "INTRA_OP_THREAD_COUNT",
}
"""The parameter that limits an instance's threads, by backend."""


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
    """A copy of the configuration with these settings, and everything else as it was."""
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
