"""A Python model's environment: the archive or directory of its parameter, and what is wrong there.

Source: python_backend, `pb_env.cc` and `stub_launcher.cc`: a tar archive, plain or with gzip, or a
directory that holds `bin/activate`.
"""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from trimaran.checks.finding import Problems, error, warning
from trimaran.repository.config import ModelConfig

__all__ = [
    "ENVIRONMENT",
    "MODEL_DIRECTORY",
    "check_environment",
    "environment_path",
    "environment_problem",
]

ENVIRONMENT = "EXECUTION_ENV_PATH"
MODEL_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"

_GZIP, _TAR, _TAR_OFFSET = b"\x1f\x8b", b"ustar", 257
_ACTIVATE = "bin/activate"
_LARGEST_READ_BYTES = 2**25
"""Archives up to this size are read through; of others only the beginning is looked at."""


def environment_path(config: ModelConfig) -> str:
    """What the parameter says, or an empty text."""
    if ENVIRONMENT not in config.parameters:
        return ""
    return config.parameters[ENVIRONMENT].string_value


def check_environment(config: ModelConfig, backend: str, found: Mapping[str, str]) -> Problems:
    """An environment that is missing or unusable.

    `found` has the problem by path, and an empty text where there is none.
    """
    path = environment_path(config)
    if not path or backend != "python":
        return
    field = f"parameters.{ENVIRONMENT}"
    problem = found.get(path, "")
    if problem:
        yield error(
            field,
            f"{ENVIRONMENT} {path} {problem}",
            "pack it with conda-pack or venv-pack and put it there, or remove the parameter",
        )
    elif not path.startswith(("/", MODEL_DIRECTORY)):
        yield warning(
            field,
            f"{ENVIRONMENT} {path} is relative to where the server is started",
            f"begin it with {MODEL_DIRECTORY}/",
        )


def environment_problem(path: str, model: Path) -> str:
    """Why the environment at `path` cannot be used, or an empty text.

    A path that is not absolute is looked for from the repository, where `trimaran serve` starts.
    """
    place = Path(os.path.normpath(path.replace(MODEL_DIRECTORY, str(model), 1)))
    place = place if place.is_absolute() else model.parent / place
    try:
        if not place.exists():
            return "is missing"
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    if place.is_dir():
        return "" if (place / _ACTIVATE).is_file() else f"has no {_ACTIVATE}"
    try:
        with place.open("rb") as file:
            head = file.read(_TAR_OFFSET + len(_TAR))
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    if not head.startswith(_GZIP) and head[_TAR_OFFSET:] != _TAR:
        return "is not a tar archive, plain or gzip-compressed"
    return _archive_problem(place) if place.stat().st_size <= _LARGEST_READ_BYTES else ""


def _archive_problem(place: Path) -> str:
    try:
        with tarfile.open(place) as archive:
            names = {os.path.normpath(name) for name in archive.getnames()}
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        return "is cut short or damaged"
    return "" if _ACTIVATE in names else f"has no {_ACTIVATE}"
