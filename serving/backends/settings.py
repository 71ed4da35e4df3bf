"""A model's `parameters` and place, as the native backends read them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["boolean", "integer", "model_being_loaded", "model_file", "threads_per_instance"]

_TRUE, _FALSE = {"true", "1"}, {"false", "0"}


def boolean(config: Mapping[str, Any], key: str, default: bool) -> bool:
    """A parameter that is `true` or `false`. Raises `ValueError` naming it for anything else."""
    text = _string(config, key)
    if text is None:
        return default
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(f"parameter '{key}' is '{text}'; it must be 'true' or 'false'")
    return text.lower() in _TRUE


def integer(config: Mapping[str, Any], key: str, default: int) -> int:
    """A parameter that counts something. Raises `ValueError` naming it for anything else."""
    text = _string(config, key)
    if text is None:
        return default
    if not text.isdecimal():
        raise ValueError(f"parameter '{key}' is '{text}'; it must be 0 or a positive integer")
    return int(text)


def _string(config: Mapping[str, Any], key: str) -> str | None:
    item = config["parameters"].get(key)
    return None if item is None else str(item["string_value"]).strip()


def threads_per_instance(config: Mapping[str, Any]) -> int:
    """The machine's cores shared among the model's instances, each a process of its own."""
    instances = sum(int(group.get("count", 1)) for group in config["instance_group"]) or 1
    return max(1, len(os.sched_getaffinity(0)) // instances)


def model_file(config: Mapping[str, Any], version_directory: Path, default: str) -> Path:
    """The file to load; a directory of that name holds it under the default name.

    Raises `FileNotFoundError` in the words of the native backends.
    """
    path = version_directory / (config.get("default_model_filename") or default)
    if path.is_dir():
        path = path / default
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
