"""A model's `parameters` and place, as the native backends read them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "boolean",
    "integer",
    "model_being_loaded",
    "model_file",
    "text",
    "thread_count",
    "threads_per_instance",
]

_BOOLEANS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_INTEGER = re.compile(r"[+-]?\d+")


def text(config: Mapping[str, Any], key: str) -> str | None:
    """A parameter as it is written, or `None` where it is not given."""
    item = config["parameters"].get(key)
    return None if item is None else str(item["string_value"]).strip()


def boolean(config: Mapping[str, Any], key: str, default: bool) -> bool:
    """A parameter that is on or off. Raises `ValueError` naming it for anything else."""
    given = text(config, key)
    if given is None:
        return default
    if given.lower() not in _BOOLEANS:
        raise ValueError(
            f"failed to convert '{given}' to boolean: parameter '{key}' must be 'true' or 'false'"
        )
    return _BOOLEANS[given.lower()]


def integer(config: Mapping[str, Any], key: str, default: int) -> int:
    """A parameter that is a number. Raises `ValueError` naming it for anything else."""
    given = text(config, key)
    if given is None:
        return default
    if not _INTEGER.fullmatch(given):
        raise ValueError(
            f"failed to convert '{given}' to integral number: parameter '{key}' must be an integer"
        )
    return int(given)


def thread_count(config: Mapping[str, Any], key: str) -> int:
    """A number of threads; 0 where the choice is left to the backend, by 0 or less or nothing."""
    return max(0, integer(config, key, 0))


def threads_per_instance(config: Mapping[str, Any]) -> int:
    """The machine's cores shared among the model's instances, each a process of its own."""
    instances = sum(int(group.get("count", 1)) for group in config["instance_group"]) or 1
    return max(1, len(os.sched_getaffinity(0)) // instances)


def model_file(
    config: Mapping[str, Any], version_directory: Path, default: str, inside: str | None = None
) -> Path:
    """The file to load: `default_model_filename`, or else `default`.

    `inside` names the file in it where that may be a directory. Raises `FileNotFoundError` in the
    words of the native backends.
    """
    path = version_directory / (config.get("default_model_filename") or default)
    if inside and path.is_dir():
        path = path / inside
    if not path.is_file():
        raise FileNotFoundError(f"unable to find '{path}' for model instance '{config['name']}'")
    return path


def model_being_loaded() -> Path:
    """The version directory that this stub process was started for.

    Triton does not tell it when a configuration is to be completed, but the stub's command line
    has it as first argument: `triton_python_backend_stub <version directory>/<model file> …`.
    """
    arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    return Path(os.fsdecode(arguments[1])).parent
