"""Which `tritonserver` runs: the named one, the one on PATH, or the embedded one.

The embedded runtime is NVIDIA's own `tritonserver` 2.51.0 with its Python backend, taken from the
wheel `nvidia-pytriton`, which is used for these binaries alone, and kept in the cache.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimaran.serving.embedded_config import EMBEDDED_VERSION
from trimaran.serving.stubs import OWN_BACKENDS, stub_environment
from trimaran.system.downloads import Wheel, unpacked
from trimaran.system.errors import UsageError
from trimaran.system.machine import require_supported_machine

__all__ = ["SERVER_WHEEL", "TRITON_VERSION", "VARIABLE", "Runtime", "find_runtime", "install"]


@dataclass(frozen=True)
class Runtime:
    """A `tritonserver` and the options and environment that it needs."""

    executable: Path
    stub_backends: tuple[str, ...] = ("python",)
    """The backends whose models run in Python stub processes."""
    version: str = ""
    embedded: bool = False
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


VARIABLE = "TRIMARAN_TRITONSERVER"
"""The environment variable that names a `tritonserver` to use."""


def find_runtime(named: Path | None = None) -> Runtime:
    """The runtime to start, installed into the cache if there is no other.

    Raises `UsageError` if the named one is not an executable file.
    """
    chosen = named or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if chosen is not None:
        if not os.access(chosen, os.X_OK) or chosen.is_dir():
            raise UsageError(
                f"{chosen} is not an executable tritonserver; correct --tritonserver or ${VARIABLE}"
            )
        return Runtime(chosen.resolve())
    on_path = shutil.which("tritonserver")
    if on_path:
        return Runtime(Path(on_path))
    return install()


TRITON_VERSION = EMBEDDED_VERSION

SERVER_WHEEL = Wheel(
    "nvidia-pytriton",
    "0.7.0",
    "nvidia_pytriton-0.7.0-py3-none-manylinux_2_35_x86_64.whl",
    "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
)
_SERVER = Path("pytriton/tritonserver")
_EXECUTABLE = _SERVER / "bin" / "tritonserver"


def install() -> Runtime:
    """The embedded runtime, unpacked and set up on first use, and tried at every use.

    Each finished step is kept, so that an interrupted installation is resumed. Raises
    `TrimaranError` on a machine where it cannot run.
    """
    require_supported_machine()
    wheel = unpacked(SERVER_WHEEL)
    (wheel / _EXECUTABLE).chmod(0o755)
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
