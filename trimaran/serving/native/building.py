"""The native ONNX backend, compiled on this machine, once, into the cache.

    native_backend("2.51.0", download=False).library
    # ~/.cache/trimaran/native/1f0c.../libtriton_onnxruntime.so

What is compiled is named by a digest of its sources, the compiler and the runtime that loads it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from trimaran.system.compiler import Compiler, find_compiler
from trimaran.system.downloads import cache_directory
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, scratch_directory, sha256_of, write_text

__all__ = ["BASE_FLAGS", "LIBRARY", "NativeBackend", "compile_backend", "native_backend"]

LIBRARY = "libtriton_onnxruntime.so"
"""The name that Triton looks for in the directory of the backend `onnxruntime`."""

_SOURCES = Path(__file__).parent
BASE_FLAGS = ("-std=c++17", "-shared", "-fPIC", "-fvisibility=hidden", "-D_GLIBCXX_ASSERTIONS")
"""Of every build of it."""
_FLAGS = (*BASE_FLAGS, "-O2", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2")
_TIMEOUT_S = 300.0
_TRIAL = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], os.RTLD_LAZY)"
"""What Triton defines is missing here, and is not looked for until it is called."""


@dataclass(frozen=True)
class NativeBackend:
    """A compiled backend, and the library of ONNX Runtime that it calls."""

    library: Path
    onnx_runtime: Path


def native_backend(runtime: str, *, download: bool) -> NativeBackend:
    """The backend for a `tritonserver` of the version `runtime`, compiled at the first call.

    With `download`, a machine without a compiler gets Debian's. Raises `TrimaranError` with the
    reason where it cannot be made.
    """
    onnx_runtime = _onnx_runtime()
    compiler = find_compiler(download=download)
    home = cache_directory() / "native"
    target = home / _digest(compiler, runtime) / LIBRARY
    try:
        with exclusive_lock(home / ".lock"):
            if not _is_whole(target):
                with scratch_directory(home / "compiling") as scratch:
                    _print_progress(compiler)
                    compile_backend(compiler, scratch / LIBRARY)
                    _run([sys.executable, "-c", _TRIAL, str(scratch / LIBRARY)], compiler)
                    target.parent.mkdir(exist_ok=True)
                    (scratch / LIBRARY).replace(target)
                    write_text(_record(target), sha256_of(target))
    except OSError as error:
        raise TrimaranError(f"{home} cannot be written: {error.strerror}") from error
    return NativeBackend(target, onnx_runtime)


def _is_whole(library: Path) -> bool:
    """Whether it is there as it was compiled: another one would fail each model that is loaded."""
    try:
        return _record(library).read_text(encoding="utf-8") == sha256_of(library)
    except FileNotFoundError:
        return False


def _record(library: Path) -> Path:
    return library.with_suffix(".sha256")


def _onnx_runtime() -> Path:
    found = find_spec("onnxruntime")
    places = list(found.submodule_search_locations or ()) if found else []
    libraries = [each for place in places for each in Path(place).glob("capi/libonnxruntime.so.*")]
    if not libraries:
        raise TrimaranError("the package onnxruntime of this environment has no libonnxruntime.so")
    return max(libraries)


def _digest(compiler: Compiler, runtime: str) -> str:
    made_by = (*_FLAGS, str(compiler.path), compiler.version, runtime, platform.machine())
    digest = hashlib.sha256("\0".join(made_by).encode())
    for path in sorted(_SOURCES.glob("*.[ch]*")):
        digest.update(f"\0{path.name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def compile_backend(compiler: Compiler, target: Path, flags: Sequence[str] = _FLAGS) -> None:
    """Compile all sources as one, which takes a third of the time of one after another.

    Raises `TrimaranError` with the compiler's first error.
    """
    includes = "".join(f'#include "{path.name}"\n' for path in sorted(_SOURCES.glob("*.cc")))
    command = [compiler.command, *flags, f"-I{_SOURCES}", "-x", "c++", "-", "-o", str(target)]
    _run(command, compiler, includes)


def _print_progress(compiler: Compiler) -> None:
    print(
        f"compiling the native ONNX backend with {compiler.version}, once, for some seconds",
        file=sys.stderr,
    )


def _run(command: Sequence[str], compiler: Compiler, stdin: str = "") -> None:
    try:
        ended = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **compiler.environment, "LC_ALL": "C"},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TrimaranError(f"{command[0]} did not end within {_TIMEOUT_S:g} s") from error
    if ended.returncode != 0:
        lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        said = (errors or lines or [f"status {ended.returncode}"])[0]
        raise TrimaranError(f"{compiler.command} failed: {said}")
