"""The instances of models that the native ONNX backend runs in tritonserver's own process.

They have no process each. What the backend shows of them (`activity.h`) says how they fare.
"""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass, field

from trimaran.system.processes import memory_file, thread_cpu_s

__all__ = ["NativeInstance", "native_instances"]

_FILE = "trimaran_instances"
_RECORD = struct.Struct("qdQII248i512s512s")
_STATE_AT = 24
_SHOWN = 2


@dataclass(frozen=True)
class NativeInstance:
    """One instance of a model, in the process `pid`; the same one at each look.

    `began_at` is when it began to work on its requests, in seconds of the monotonic clock, 0 while
    it has none. `memory_bytes` is the most that ONNX Runtime held for it at once, weights included,
    and 0 where that is not known. `threads` are the kernel's numbers.
    """

    pid: int
    model: str
    version: int
    name: str
    began_at: float = field(default=0.0, compare=False)
    memory_bytes: int = field(default=0, compare=False)
    threads: tuple[int, ...] = field(default=(), compare=False)

    def cpu_s(self) -> float:
        """CPU seconds that its threads have used."""
        return sum(thread_cpu_s(self.pid, thread) for thread in self.threads)


def native_instances(server_pid: int) -> list[NativeInstance]:
    """The instances of a tritonserver; none where it has no such backend, or is gone."""
    file = memory_file(server_pid, _FILE)
    if file is None:
        return []
    try:
        shown = memoryview(file.read_bytes())
    except OSError:
        return []
    places = range(0, len(shown), _RECORD.size)
    return [
        _instance(server_pid, shown[place : place + _RECORD.size])
        for place in places
        if int.from_bytes(shown[place + _STATE_AT : place + _STATE_AT + 4], sys.byteorder) == _SHOWN
    ]


def _instance(pid: int, record: memoryview) -> NativeInstance:
    version, began_at, memory_bytes, _, count, *threads, model, name = _RECORD.unpack(record)
    return NativeInstance(
        pid,
        _text(model),
        version,
        _text(name),
        began_at,
        memory_bytes,
        tuple(threads[:count]),
    )


def _text(padded: bytes) -> str:
    return os.fsdecode(padded.rstrip(b"\0"))
