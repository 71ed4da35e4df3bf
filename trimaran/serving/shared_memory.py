"""How much of `/dev/shm` each Python stub begins with, by how much of it there is.

Every stub has a region of its own, which grows by steps and never shrinks. On a machine with room
the steps are large, since an image tensor would grow a region again and again; in a container,
whose `/dev/shm` has 64 MB if nobody says otherwise, they are as small as Triton's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trimaran.repository.config import ModelConfig, is_ensemble
from trimaran.repository.live import live_versions
from trimaran.system.errors import TrimaranError

__all__ = ["SHARED_MEMORY", "Regions", "free_bytes", "plan_regions", "stubs_of"]

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the C library keeps POSIX shared memory

_MB = 2**20
_DEFAULT_INSTANCES = {"onnxruntime": 2}
_MORE = (
    "give it more: 'docker run --shm-size=1g', in Kubernetes an emptyDir of medium Memory on "
    "/dev/shm, elsewhere 'mount -o remount,size=1g /dev/shm' as root"
)


@dataclass(frozen=True)
class Regions:
    """What a stub's region begins with and grows by, in bytes, and what to tell the user."""

    initial: int
    growth: int
    note: str = ""


_ROOMY = Regions(4 * _MB, 16 * _MB)
_TIGHT = Regions(1 * _MB, 1 * _MB)


def plan_regions(free: int, stubs: int, *, certain: bool = True) -> Regions:
    """Large steps where every stub can take one, and small ones elsewhere.

    `free` is in bytes. Raises `TrimaranError` where the stubs could not even start, if it is
    `certain` that so many are started.
    """
    if stubs * (_ROOMY.initial + _ROOMY.growth) <= free:
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
        max(1, len(live_versions(config)))
        * (
            sum(max(1, group.count) for group in config.instance_group)
            or _DEFAULT_INSTANCES.get(config.backend, 1)
        )
        for config in configs
        if config.backend in backends and not is_ensemble(config)
    )


def free_bytes() -> int:
    """What is free in `/dev/shm`. Raises `TrimaranError` where it is missing."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError as error:
        raise TrimaranError(
            f"{SHARED_MEMORY}, where Triton's Python stubs take their tensors from, cannot be "
            f"used: {error.strerror}; mount a tmpfs there"
        ) from error
    return found.f_bavail * found.f_frsize
