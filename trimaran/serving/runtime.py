"""Which `tritonserver` runs: the named one, the one on PATH, or the embedded one.

The embedded runtime is NVIDIA's own `tritonserver` 2.51.0 with its Python backend, taken from the
wheel `nvidia-pytriton`, which is used for these binaries alone, and kept in the cache.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from trimaran.serving.embedded_config import EMBEDDED_VERSION
from trimaran.serving.native.building import NativeBackend, native_backend
from trimaran.serving.stubs import OWN_BACKENDS, stub_environment
from trimaran.system.downloads import Wheel, unpacked
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.machine import require_supported_machine

__all__ = [
    "ONNX_BACKEND",
    "SERVER_WHEEL",
    "TRITON_VERSION",
    "VARIABLE",
    "OnnxBackend",
    "Runtime",
    "find_runtime",
    "install",
]


class OnnxBackend(StrEnum):
    """What serves ONNX models on the embedded runtime."""

    auto = "auto"
    """`native` where it can be made, else `python`."""
    native = "native"
    """C++ that is compiled on this machine, in tritonserver's own process."""
    python = "python"
    """Python stubs, a process for each instance of a model."""

    @property
    def words(self) -> str:
        """What serves ONNX models, for a user."""
        if self is OnnxBackend.native:
            return "tritonserver itself (native backend)"
        return "a Python process for each instance"


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
    onnx_backend: OnnxBackend | None = None
    """What serves ONNX models, if that is one of ours."""
    note: str = ""
    """A hint for the user of `trimaran serve`."""


VARIABLE = "TRIMARAN_TRITONSERVER"
"""The environment variable that names a `tritonserver` to use."""
ONNX_BACKEND = "TRIMARAN_ONNX_BACKEND"
"""The environment variable that says what serves ONNX models where no option does."""


def find_runtime(named: Path | None = None, onnx_backend: OnnxBackend | None = None) -> Runtime:
    """The runtime to start, installed into the cache if there is no other.

    Raises `UsageError` if the named one is not an executable file, or has its own backend in place
    of the wanted one of ours, and `TrimaranError` if that cannot be made.
    """
    wanted = onnx_backend or _onnx_backend_of_environment()
    other = _other_than_embedded(named)
    if other is None:
        return install(wanted)
    if onnx_backend not in (None, OnnxBackend.auto):
        raise UsageError(
            f"{other} serves ONNX models with its own backend; leave out --onnx-backend, which is "
            "for the embedded tritonserver"
        )
    return Runtime(other)


def _other_than_embedded(named: Path | None) -> Path | None:
    chosen = named or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if chosen is not None:
        if not os.access(chosen, os.X_OK) or chosen.is_dir():
            raise UsageError(
                f"{chosen} is not an executable tritonserver; correct --tritonserver or ${VARIABLE}"
            )
        return chosen.resolve()
    on_path = shutil.which("tritonserver")
    return Path(on_path) if on_path else None


TRITON_VERSION = EMBEDDED_VERSION

SERVER_WHEEL = Wheel(
    "nvidia-pytriton",
    "0.7.0",
    "nvidia_pytriton-0.7.0-py3-none-manylinux_2_35_x86_64.whl",
    "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
)
_SERVER = Path("pytriton/tritonserver")
_EXECUTABLE = _SERVER / "bin" / "tritonserver"


def install(onnx_backend: OnnxBackend = OnnxBackend.auto) -> Runtime:
    """The embedded runtime, unpacked and set up on first use, and tried at every use.

    Each finished step is kept, so that an interrupted installation is resumed. Raises
    `TrimaranError` on a machine where it cannot run.
    """
    require_supported_machine()
    wheel = unpacked(SERVER_WHEEL)
    (wheel / _EXECUTABLE).chmod(0o755)
    native, note = _native(onnx_backend)
    stubs = stub_environment(wheel, native.library if native else None)
    arguments = [
        f"--backend-directory={stubs.backend_directory}",
        f"--cache-directory={wheel / _SERVER / 'caches'}",
    ]
    stub_backends = ["python", *OWN_BACKENDS]
    if native:
        arguments.append(f"--backend-config=onnxruntime,library={native.onnx_runtime}")
        stub_backends.remove("onnxruntime")
    return Runtime(
        executable=wheel / _EXECUTABLE,
        stub_backends=tuple(stub_backends),
        version=TRITON_VERSION,
        embedded=True,
        arguments=tuple(arguments),
        environment=stubs.environment,
        onnx_backend=OnnxBackend.native if native else OnnxBackend.python,
        note=note,
    )


def _native(wanted: OnnxBackend) -> tuple[NativeBackend | None, str]:
    """The native backend unless it is not wanted, or why there is none."""
    if wanted is OnnxBackend.python:
        return None, ""
    try:
        return native_backend(TRITON_VERSION, download=wanted is OnnxBackend.native), ""
    except TrimaranError as error:
        if wanted is OnnxBackend.native:
            raise TrimaranError(
                f"the native ONNX backend cannot be made: {error}; install a C++ compiler such as "
                "Debian's g++, or take another backend with --onnx-backend python"
            ) from error
        return None, (
            f"ONNX models are served by Python processes: {error}; the native backend, which needs "
            "a C++ compiler such as Debian's g++, starts sooner and takes less CPU"
        )


def _onnx_backend_of_environment() -> OnnxBackend:
    given = os.environ.get(ONNX_BACKEND) or OnnxBackend.auto
    try:
        return OnnxBackend(given)
    except ValueError as error:
        raise UsageError(f"${ONNX_BACKEND} is {given!r}; give {', '.join(OnnxBackend)}") from error
