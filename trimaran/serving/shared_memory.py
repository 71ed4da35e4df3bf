"""The initial size of each Python stub's shared memory, by the free space in `/dev/shm`.

Every stub has its own region, which grows in steps and never shrinks. On a machine with enough
space the steps are large, since image tensors would otherwise grow a region many times. In a
container, whose `/dev/shm` has 64 MB by default, they are as small as Triton's default.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trimaran.repository.config import ModelConfig, is_ensemble
from trimaran.repository.live import live_versions
from trimaran.system.errors import TrimaranError

__all__ = ["SHARED_MEMORY", "Regions", "free_bytes", "instances_of", "plan_regions", "stubs_of"]

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the C library keeps POSIX shared memory

_MB = 2**20
_DEFAULT_INSTANCES = {"onnxruntime": 2}
_MORE = (
    "give it more: 'docker run --shm-size=1g', in Kubernetes an emptyDir of medium Memory on "
    "/dev/shm, elsewhere 'mount -o remount,size=1g /dev/shm' as root"
)


@dataclass(frozen=True)
class Regions:
    """The initial size and the step of a stub's region, in bytes, and a note for the user."""

    initial: int
    growth: int
    note: str = ""


_ROOMY = Regions(4 * _MB, 16 * _MB)
_TIGHT = Regions(1 * _MB, 1 * _MB)


_SIDE_BY_SIDE = 2
"""A model that is loaded again has its old and its new stubs for a moment."""


def plan_regions(free: int, stubs: int, *, certain: bool = True) -> Regions:
    """Large steps if each stub and its successor have room for one, and small ones otherwise.

    `free` is in bytes. Raises `TrimaranError` if there is not even room to start the stubs, and it
    is `certain` that so many start.
    """
    if _SIDE_BY_SIDE * stubs * (_ROOMY.initial + _ROOMY.growth) <= free:
        return _ROOMY
    if certain and stubs * _TIGHT.initial > free:
        raise TrimaranError(
            f"{SHARED_MEMORY} has {free // _MB} MB free, too little for {stubs} Python stubs with "
            f"1 MB each; {_MORE}"
        )
    note = (
        f"{SHARED_MEMORY} has {free // _MB} MB free for {stubs} Python stubs, so requests with "
        f"large tensors, such as a batch of photographs, may be refused; {_MORE}"
    )
    return Regions(_TIGHT.initial, _TIGHT.growth, note)


def stubs_of(configs: Iterable[ModelConfig], stub_backends: Iterable[str]) -> int:
    """How many stubs models start, one for each instance of each version that is live."""
    backends = set(stub_backends)
    return sum(
        max(1, len(live_versions(config))) * instances_of(config)
        for config in configs
        if config.backend in backends and not is_ensemble(config)
    )


def instances_of(config: ModelConfig) -> int:
    """How many instances of each version a configuration asks for."""
    given = sum(max(1, group.count) for group in config.instance_group)
    return given or _DEFAULT_INSTANCES.get(config.backend, 1)


def free_bytes() -> int:
    """The free bytes in `/dev/shm`. Raises `TrimaranError` where it is missing."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError as error:
        raise TrimaranError(
            f"{SHARED_MEMORY}, through which Triton's Python stubs get their tensors, cannot be "
            f"used: {error.strerror}; mount a tmpfs there"
        ) from error
    return found.f_bavail * found.f_frsize
