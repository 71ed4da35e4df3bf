"""Rules for batches, queues, the response cache and instance groups."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trimaran.checks.backends import AOTI
from trimaran.checks.finding import Problems, error, warning
from trimaran.repository.config import ModelConfig
from trimaran.repository.protocol import protocol

__all__ = [
    "check_batch_limit",
    "check_batching",
    "check_instances",
    "check_threads",
    "preferred_sizes",
]

_LEADING_NUMBER = re.compile(r"\s*\+?[0-9]")
"""Triton reads a profile with `stoi` and refuses a number below 0."""

_Group = protocol.ModelInstanceGroup

_LARGEST_COUNT = 1024
"""Each instance of a Python backend is a process, and no machine runs that many."""


def check_batching(config: ModelConfig) -> Problems:
    """How requests become batches, and how their answers are cached."""
    if config.max_batch_size < 0:
        yield error(
            "max_batch_size",
            f"max_batch_size is {config.max_batch_size}",
            "write 0 for a model without a batch axis, or the largest batch",
        )
    if config.HasField("dynamic_batching"):
        yield from preferred_sizes(
            config, "dynamic_batching", config.dynamic_batching.preferred_batch_size
        )
        yield from _priorities(config.dynamic_batching)
        yield from _order(config.dynamic_batching)
        yield from _pointless(config)
    decoupled = config.model_transaction_policy.decoupled
    if config.response_cache.enable and (decoupled or config.HasField("sequence_batching")):
        kind = "decoupled model" if decoupled else "model of sequences"
        yield error("response_cache", f"a {kind} has a response cache", "remove response_cache")


def preferred_sizes(config: ModelConfig, field: str, sizes: Iterable[int]) -> Problems:
    """Preferred batch sizes that no batch can have."""
    for size in sizes:
        if size <= 0 or size > config.max_batch_size:
            yield error(
                f"{field}.preferred_batch_size",
                f"preferred_batch_size has {size} but max_batch_size is {config.max_batch_size}",
                "use sizes from 1 to max_batch_size",
            )


def _priorities(batching: protocol.ModelDynamicBatching) -> Problems:
    levels, default = batching.priority_levels, batching.default_priority_level
    if levels == 0:
        return
    if not 1 <= default <= levels:
        yield error(
            "dynamic_batching.default_priority_level",
            f"default_priority_level is {default} but there are {levels} levels",
            f"use one from 1 to {levels}",
        )
    for level in sorted(batching.priority_queue_policy):
        if not 1 <= level <= levels:
            yield error(
                "dynamic_batching.priority_queue_policy",
                f"priority_queue_policy is for level {level} but there are {levels} levels",
                f"use one from 1 to {levels}",
            )


def _order(batching: protocol.ModelDynamicBatching) -> Problems:
    if not batching.preserve_ordering:
        return
    if batching.priority_levels > 1:
        yield error(
            "dynamic_batching.preserve_ordering",
            f"preserve_ordering is set with {batching.priority_levels} priority levels",
            "remove one of them",
        )
    policies = [batching.default_queue_policy, *batching.priority_queue_policy.values()]
    if any(
        policy.timeout_action == protocol.ModelQueuePolicy.DELAY
        and policy.default_timeout_microseconds
        for policy in policies
    ):
        yield error(
            "dynamic_batching.preserve_ordering",
            "preserve_ordering is set but a queue policy delays requests that time out",
            "reject them, or remove preserve_ordering",
        )


def _pointless(config: ModelConfig) -> Problems:
    delay = config.dynamic_batching.max_queue_delay_microseconds
    if config.max_batch_size == 0 and (config.input or config.output):
        what = f"a delay of {delay} µs" if delay else "dynamic_batching"
        yield warning(
            "dynamic_batching",
            f"there is {what} but max_batch_size is 0, so no batches are formed",
            "set max_batch_size, or remove dynamic_batching",
        )
    elif config.max_batch_size == 1 and delay:
        yield warning(
            "dynamic_batching.max_queue_delay_microseconds",
            f"there is a delay of {delay} µs but max_batch_size is 1",
            "raise max_batch_size, or remove the delay",
        )


def check_batch_limit(config: ModelConfig, text: str) -> Problems:
    """A limit that the text leaves out although tensors are given: 0 may not be intended.

    The text is looked at because protobuf does not distinguish a 0 from nothing; nor can it write a
    0, so this is not for configurations that were published with a version.
    """
    declared = config.input and config.output  # Where one is left out, the model gives the limit.
    if config.max_batch_size == 0 and declared and "max_batch_size" not in text:
        yield warning(
            "max_batch_size",
            "inputs are given without max_batch_size, so each is the full shape of one request",
            "set max_batch_size to 0 if that is intended, or to the largest batch",
        )


def check_instances(config: ModelConfig, backend: str) -> Problems:
    """Kinds, graphics cards and counts that Triton refuses, or cannot serve on a CPU.

    A `backend` that is not known yet may be TensorRT.
    """
    for index, group in enumerate(config.instance_group):
        field = f"instance_group[{index}]"
        kind = _Group.Kind.Name(group.kind)
        if group.gpus and group.kind in (_Group.KIND_CPU, _Group.KIND_MODEL):
            yield error(
                f"{field}.gpus", f"{kind} is given gpus {list(group.gpus)}", "remove the gpus"
            )
        elif group.gpus:
            yield warning(
                f"{field}.gpus",
                f"gpus {list(group.gpus)} are named, so a host without them refuses the model",
                "leave them out unless every host has them",
            )
        elif group.kind == _Group.KIND_GPU and config.platform != AOTI:
            yield warning(
                f"{field}.kind",
                "KIND_GPU is refused by a host without a GPU",
                "leave the kind out, and Triton takes a GPU where there is one",
            )
        if any(gpu < 0 for gpu in group.gpus):
            yield error(f"{field}.gpus", f"gpus has {list(group.gpus)}", "number them from 0")
        if group.profile and backend not in ("", "tensorrt"):
            yield error(
                f"{field}.profile",
                "profile is set, which only TensorRT models have",
                "remove it",
            )
        for profile in group.profile:
            if not _LEADING_NUMBER.match(profile):
                yield error(
                    f"{field}.profile", f"profile {profile!r} is no number", "number it from 0"
                )
        if group.count < 0:
            yield warning(
                f"{field}.count",
                f"count is {group.count}, which Triton treats as its default",
                "write the number of instances",
            )
        elif group.count > _LARGEST_COUNT:
            yield error(f"{field}.count", f"count is {group.count}", "use at most as many as cores")


def check_threads(config: ModelConfig, cores: int) -> Problems:
    """Instances that would wait for one another's threads."""
    count = sum(max(group.count, 1) for group in config.instance_group) or 1
    for key in ("intra_op_thread_count", "INTRA_OP_THREAD_COUNT"):
        value = config.parameters[key].string_value if key in config.parameters else ""
        if value.isdecimal() and int(value) > 0 and count * int(value) > cores > 0:
            yield warning(
                f"parameters.{key}",
                f"{count} instances of {value} threads run on {cores} cores",
                "lower the instances or the threads",
            )
