"""The environment of Triton's Python stubs: interpreter, NumPy, shared library, and the stub.

The wheel's stubs are built against NumPy 1, so they get a small virtual environment with that
NumPy, and find everything else in the environment where trimaran is installed. They are linked
with `libpython3.X.so.1.0`, which many interpreters keep where the loader does not look, and some do
not have. If a stub cannot start, Triton hangs while it loads the model, so a stub is started on
trial before every server.
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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trimaran.serving import backends
from trimaran.system.debian import joined_path, lacking, provided, remedy
from trimaran.system.downloads import Wheel, cache_directory, unpacked
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, one_word, write_text

__all__ = ["OWN_BACKENDS", "Stubs", "numpy_wheel", "stub_environment"]

OWN_BACKENDS = ("onnxruntime", "pytorch")

_NUMPY_VERSION = "1.26.4"
_NUMPY_SHA256 = {
    "311": "666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5",
    "312": "675d61ffbfa78604709862923189bad94014bef562cc35cf61d3a07bba02a7ed",
}
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_LIBRARY = f"libpython{_PYTHON}.so.1.0"

_STUB = "triton_python_backend_stub"
_STUB_STARTS = "Expected 9 arguments"
"""The message of a stub that was started without arguments. It ends with status 1 then, and so
does a program whose libraries are too old."""
_TRIAL_TIMEOUT_S = 30.0

_BACKENDS = Path("pytriton/tritonserver/backends")
_BACKEND_FILES = ("libtriton_python.so", "triton_python_backend_utils.py")
_WHEEL_LIBRARIES = "nvidia_pytriton.libs"
"""The backends and their libraries in the wheel; one is found relative to the other."""

_SERVED = Path(backends.__file__).parents[2] / "served"
_WRAPPERS = [(str(_SERVED / "failures.py"), "counted"), (str(_SERVED / "pulse.py"), "beating")]
_STUB_MODULE = "trimaran_stub"
_STUB_PATH = """\
import site
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location

sys.dont_write_bytecode = True
site.addsitedir({packages!r})
started_with = {{"", *sys.path}}


class OwnDirectoryFirst:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if path is None and name not in sys.stdlib_module_names:
            own = [place for place in sys.path if place not in started_with]
            spec = PathFinder.find_spec(name, own)
            return wrapping(spec) if spec is not None and spec.origin is not None else None
        version, _, file = name.partition(".")
        if version.isdecimal() and file == "model":
            return wrapping(PathFinder.find_spec(name, path))


def wrapping(spec):
    is_source = spec is not None and type(spec.loader) is SourceFileLoader
    if is_source and spec.name.rpartition(".")[2] == "model":
        spec.loader = WrappingLoader(spec.name, spec.origin)
    return spec


class WrappingLoader(SourceFileLoader):
    def exec_module(self, module):
        super().exec_module(module)
        if hasattr(module, "TritonPythonModel"):
            for file, wrap in {wrappers!r}:
                spec = spec_from_file_location("trimaran_" + wrap, file)
                wrapper = module_from_spec(spec)
                spec.loader.exec_module(wrapper)
                getattr(wrapper, wrap)(module.TritonPythonModel)


sys.meta_path.insert(0, OwnDirectoryFirst)
"""
"""What a stub runs when it starts. Bytecode would be written into version directories and change
their modification time, which Triton takes for a new version. `addsitedir` rather than a bare path,
so that editable installs are found too. Triton appends the model's directory to the path, where a
file of the same name in an installed project, such as the user's own `model.py`, would win. Every
model's failed requests are counted and its pulse is shown, by the files of this installation: a
version may hold its own `trimaran`. Triton imports a backend's file as `model`, and that of version
3 as `3.model`."""


@dataclass(frozen=True)
class Stubs:
    """The settings of a server that starts stubs: its backend directory and its environment."""

    backend_directory: Path
    environment: Mapping[str, str]


def stub_environment(wheel: Path, onnx_library: Path | None = None) -> Stubs:
    """The stubs' environment for this interpreter and installation; a stub was started in it.

    `wheel` is the unpacked server. With `onnx_library` the backend directory has that library as
    its backend `onnxruntime`, in place of the Python-based one. Raises `TrimaranError` that names
    everything missing.
    """
    home = cache_directory() / "stubs"
    with exclusive_lock(home / ".lock"):
        root = _environment(home, wheel)
        backend_directory = root / _BACKENDS
        _link_own_backends(backend_directory)
        stub = backend_directory / "python" / _STUB
        if onnx_library is not None:
            backend_directory = _native_directory(backend_directory, onnx_library)
        libraries, reason = _python_libraries(root, stub)
    _require_own_numpy(root)
    stubs = Stubs(
        one_word(backend_directory),
        {
            "PATH": joined_path(str(root / "bin"), os.environ.get("PATH", os.defpath)),
            "LD_LIBRARY_PATH": joined_path(libraries, os.environ.get("LD_LIBRARY_PATH")),
        },
    )
    _require_start(stub, stubs.environment, reason)
    return stubs


def _environment(home: Path, wheel: Path) -> Path:
    """A directory with the interpreter and NumPy, and with the Python backend as in the wheel."""
    packages = sysconfig.get_path("purelib")
    path = _STUB_PATH.format(packages=packages, wrappers=_WRAPPERS)
    numpy = unpacked(numpy_wheel())
    made_of = f"{numpy} {path} {wheel} {_BACKENDS}"
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:12]
    target = home / f"python{_PYTHON}-{digest}"
    complete = target / "complete"
    if not _stands(target, complete):
        shutil.rmtree(target, ignore_errors=True)
        venv.EnvBuilder(with_pip=False, symlinks=True).create(target)
        site = target / "lib" / f"python{_PYTHON}" / "site-packages"
        # The stubs themselves may not write bytecode; without it each would compile NumPy again.
        compileall.compile_dir(numpy, quiet=2, rx=re.compile(r"/tests/"))
        write_text(site / "numpy.pth", f"{numpy}\n")
        write_text(site / f"{_STUB_MODULE}.py", path)
        write_text(site / "trimaran.pth", f"import {_STUB_MODULE}\n")
        _copy_python_backend(wheel, target)
        write_text(complete, f"{packages}\n")
    # Triton removes the read permission of a stub that did not start.
    (target / _BACKENDS / "python" / _STUB).chmod(0o755)
    return target


def _stands(environment: Path, complete: Path) -> bool:
    """Whether an environment was finished, and its interpreter still exists."""
    return complete.is_file() and (environment / "bin" / "python").exists()


def numpy_wheel(python: str = _PYTHON) -> Wheel:
    """The NumPy of the stubs of an interpreter such as `3.12`."""
    tag = python.replace(".", "")
    return Wheel(
        "numpy",
        _NUMPY_VERSION,
        f"numpy-{_NUMPY_VERSION}-cp{tag}-cp{tag}-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        _NUMPY_SHA256[tag],
        (
            f"--python-version={python}",
            "--implementation=cp",
            "--platform=manylinux_2_17_x86_64",
        ),
    )


def _copy_python_backend(wheel: Path, environment: Path) -> None:
    """Copies of the backend and of this interpreter's stub.

    Both find the wheel's libraries relative to their own path, so those are linked there.
    """
    backend = environment / _BACKENDS / "python"
    backend.mkdir(parents=True)
    stub = wheel / "pytriton/tritonserver/python_backend_stubs" / _PYTHON / _STUB
    for file in (*(wheel / _BACKENDS / "python" / name for name in _BACKEND_FILES), stub):
        shutil.copyfile(file, backend / file.name)
    (environment / _WHEEL_LIBRARIES).symlink_to(wheel / _WHEEL_LIBRARIES)


def _require_own_numpy(environment: Path) -> None:
    """Refuse to serve with another NumPy: the stubs would silently corrupt every tensor."""
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


def _link_own_backends(directory: Path) -> None:
    """Link our installed backends next to Triton's Python backend."""
    for name in OWN_BACKENDS:
        _link(directory / name, Path(backends.__file__).parent / name)


def _native_directory(python_based: Path, onnx_library: Path) -> Path:
    """A backend directory beside the Python-based one that differs in `onnxruntime`.

    Triton takes a library where there is one, so both cannot share a directory. It is as deep as
    the other, for the path from the Python backend to its libraries.
    """
    directory = python_based.with_name(f"native-{onnx_library.parent.name}")
    for folder in ("python", "onnxruntime"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for file in (python_based / "python").iterdir():
        if file.is_file() and not (directory / "python" / file.name).exists():
            (directory / "python" / file.name).hardlink_to(file)
    _link(directory / "pytorch", Path(backends.__file__).parent / "pytorch")
    _link(directory / "onnxruntime" / onnx_library.name, onnx_library)
    return directory


def _link(link: Path, target: Path) -> None:
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def _python_libraries(environment: Path, stub: Path) -> tuple[str, str]:
    """Directories with the libraries that the stub needs, and why a download failed.

    `libpython` is looked for where the interpreter says, next to the interpreter, where the loader
    looks, and last in Debian's packages. One next to the interpreter is linked into a separate
    directory, since other libraries there, as in a conda environment, are not for Triton.
    """
    own = environment / "libraries"
    own.mkdir(exist_ok=True)
    found = next((path for path in _python_places() if path.is_file()), None)
    if found is not None:
        _link(own / _LIBRARY, found)
    else:
        (own / _LIBRARY).unlink(missing_ok=True)
    missing = lacking(stub, {"LD_LIBRARY_PATH": str(own)})
    downloaded, reason = provided(missing)
    return joined_path(str(own), downloaded), reason


def _python_places() -> Iterator[Path]:
    directory, name = (sysconfig.get_config_var(key) for key in ("LIBDIR", "INSTSONAME"))
    if directory and name == _LIBRARY:
        yield Path(directory) / name
    yield Path(sys.base_prefix) / "lib" / _LIBRARY
    yield Path(sys.executable).resolve().parent.parent / "lib" / _LIBRARY


def _require_start(stub: Path, environment: Mapping[str, str], reason: str = "") -> None:
    """Start a stub without arguments. Raises `TrimaranError` if it does not run.

    `reason` is why a library that it needs could not be downloaded.
    """
    try:
        result = subprocess.run(
            [stub],
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **environment, "LC_ALL": "C"},
            timeout=_TRIAL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrimaranError(f"Triton's Python stub {stub} cannot be started: {error}") from error
    if _STUB_STARTS in result.stdout + result.stderr:
        return
    missing = lacking(stub, environment)
    if not missing:
        words = " ".join(result.stderr.split())[-300:] or "it said nothing"
        raise TrimaranError(
            f"Triton's Python stub {stub} ends with status {result.returncode}: {words}"
        )
    words = remedy(missing, platform.libc_ver()[1])
    if _LIBRARY in missing.libraries and not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        words += (
            f"; or use another interpreter than {sys.base_prefix}, which was built without it: "
            "pyenv builds it with PYTHON_CONFIGURE_OPTS=--enable-shared"
        )
    raise TrimaranError(
        f"Triton's Python stub cannot start: {words}{f' ({reason})' if reason else ''}"
    )
