"""Whether the embedded Triton runs on this machine, checked before anything is downloaded."""

from __future__ import annotations

import platform
import sys

from trimaran.system.errors import TrimaranError

__all__ = ["require_supported_machine"]

_LEAST_GLIBC = (2, 35)
_ELSEWHERE = (
    "run inside NVIDIA's container, or name the tritonserver of this machine in "
    "TRIMARAN_TRITONSERVER"
)


def require_supported_machine() -> None:
    """Raise `TrimaranError` on anything but x86-64 Linux with glibc 2.35 or newer."""
    machine, (libc, version) = platform.machine(), platform.libc_ver()
    if sys.platform != "linux" or machine not in ("x86_64", "AMD64"):
        raise TrimaranError(
            f"the embedded Triton runs on x86-64 Linux, and this is {sys.platform} on {machine}; "
            + ("use WSL 2" if sys.platform == "win32" else _ELSEWHERE)
        )
    if libc != "glibc":
        raise TrimaranError(
            f"the embedded Triton needs the C library glibc, which {_distribution()} does not "
            f"have; {_ELSEWHERE}"
        )
    if tuple(int(part) for part in version.split(".")[:2]) < _LEAST_GLIBC:
        raise TrimaranError(
            f"the embedded Triton needs glibc 2.35 or newer, and {_distribution()} has {version}; "
            f"use Debian 12, Ubuntu 22.04 or newer, or {_ELSEWHERE}"
        )


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "this machine")
    except OSError:
        return "this machine"
