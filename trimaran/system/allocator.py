"""How the C library keeps memory in processes that handle tensors again and again.

By default every array above 128 KB is mapped anew and given back to the kernel, so that each image
pays for page faults: a fifth of the CPU time of image preprocessing. With these settings freed
memory stays with the process, up to a bound, and is used again.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ALLOCATOR"]

_MB = 2**20

ALLOCATOR: Mapping[str, str] = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * _MB),
    "MALLOC_TRIM_THRESHOLD_": str(256 * _MB),
    "MALLOC_TOP_PAD_": str(16 * _MB),
}
"""Environment variables of glibc; what a user has set goes first."""
