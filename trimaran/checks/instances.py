"""Rules for instance groups: where instances run, how many, and with how many threads."""

from __future__ import annotations

import re

from tritonclient.grpc import model_config_pb2 as protocol

from trimaran.checks.finding import Problems, error, warning
from trimaran.repository.config import ModelConfig

__all__ = ["check_instances", "check_threads"]

_LEADING_NUMBER = re.compile(r"\s*\+?[0-9]")
"""Triton reads a profile with `stoi` and refuses a number below 0."""
_Group = protocol.ModelInstanceGroup
_LARGEST_COUNT = 1024
"""Each instance of a Python backend is a process, and no machine runs that many."""


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
        elif group.kind == _Group.KIND_GPU:
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
