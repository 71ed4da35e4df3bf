"""The embedded runtime: NVIDIA's own `tritonserver`, taken from a wheel and kept in the cache.

The wheel `nvidia-pytriton` carries tritonserver 2.51.0 with its Python backend; it is used for
these binaries alone.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from trimaran.serving.runtime import Runtime
from trimaran.serving.stubs import OWN_BACKENDS, stub_environment
from trimaran.system.cache import cache_directory
from trimaran.system.files import exclusive_lock, scratch_directory
from trimaran.system.machine import require_supported_machine
from trimaran.system.wheels import Wheel, fetch

__all__ = ["TRITON_VERSION", "install"]

TRITON_VERSION = "2.51.0"

_WHEEL = Wheel(
    "nvidia-pytriton",
    "0.7.0",
    "nvidia_pytriton-0.7.0-py3-none-manylinux_2_35_x86_64.whl",
    "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
)
_SERVER = Path("pytriton/tritonserver")
_EXECUTABLE = _SERVER / "bin" / "tritonserver"


def install() -> Runtime:
    """The embedded runtime, unpacked and set up on first use, and tried at every use.

    Each finished step is kept, so that an interrupted installation goes on where it stopped.
    Raises `TrimaranError` on a machine that it cannot run on.
    """
    require_supported_machine()
    wheel = _unpack()
    stubs = stub_environment(wheel)
    return Runtime(
        executable=wheel / _EXECUTABLE,
        stub_backends=("python", *OWN_BACKENDS),
        version=TRITON_VERSION,
        embedded=True,
        arguments=(
            f"--backend-directory={stubs.backend_directory}",
            f"--cache-directory={wheel / _SERVER / 'caches'}",
        ),
        environment=stubs.environment,
    )


def _unpack() -> Path:
    root = cache_directory() / "runtime"
    target = root / f"{_WHEEL.project}-{_WHEEL.version}"
    with exclusive_lock(root / ".lock"):
        if not target.is_dir():
            archive = fetch(_WHEEL)
            with scratch_directory(root / "unpacking") as scratch:
                content = scratch / "content"
                with zipfile.ZipFile(archive) as wheel:
                    wheel.extractall(content)
                content.rename(target)
        (target / _EXECUTABLE).chmod(0o755)
    return target
