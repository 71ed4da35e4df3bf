"""A model's configuration, as the native backends read it: parameters, files, runtime options.

`config` is Triton's JSON form throughout.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "PLATFORM",
    "apply_torch_settings",
    "boolean",
    "device",
    "integer",
    "model_being_loaded",
    "model_file",
    "platform",
    "run_options",
    "session_options",
    "text",
    "thread_count",
    "threads_per_instance",
]

PLATFORM = "trimaran_platform"
"""The parameter that has the platform where the server is older than that."""

_BOOLEANS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_INTEGER = re.compile(r"[+-]?\d+")

_LEVELS = {-1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}
"""`optimization { graph { level } }`; any other number means all optimizations."""

_INITIALIZERS = "session.use_device_allocator_for_initializers"
_SHRINKAGE = "memory.enable_memory_arena_shrinkage"

_SWITCHES = {
    "ENABLE_JIT_EXECUTOR": "_jit_set_profiling_executor",
    "ENABLE_JIT_PROFILING": "_jit_set_profiling_mode",
    "ENABLE_TENSOR_FUSER": "_jit_set_texpr_fuser_enabled",
}
"""TorchScript decides each by itself, unless the configuration sets it."""


def text(config: Mapping[str, Any], key: str) -> str | None:
    """A parameter's text, or `None` where it is missing."""
    item = config["parameters"].get(key)
    return None if item is None else str(item["string_value"]).strip()


def platform(config: Mapping[str, Any]) -> str:
    """The platform, such as `torch_aoti`."""
    return text(config, PLATFORM) or str(config["platform"])


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
    """A number of threads; 0 (missing, zero or negative) leaves the choice to the backend."""
    return max(0, integer(config, key, 0))


def threads_per_instance(config: Mapping[str, Any]) -> int:
    """The machine's cores shared among the model's instances, each a separate process."""
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

    It is the stub's first argument, `triton_python_backend_stub <version directory>/<model file>`:
    Triton passes it in no other way when a configuration is to be completed.
    """
    arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    return Path(os.fsdecode(arguments[1])).parent


def device(args: Mapping[str, str]) -> str:
    """Where torch runs an instance, such as `cpu` or `cuda:0`.

    `args` are those of `initialize`. Triton has chosen the device: a GPU for `KIND_GPU`, and also
    where the configuration leaves the kind out and there is one.
    """
    is_gpu = args.get("model_instance_kind") == "GPU"
    return f"cuda:{args.get('model_instance_device_id') or 0}" if is_gpu else "cpu"


def session_options(config: Mapping[str, Any]) -> Any:
    """An `onnxruntime.SessionOptions`.

    Raises `ValueError` for a value that the native backend refuses.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(
        config, "intra_op_thread_count"
    ) or threads_per_instance(config)
    options.inter_op_num_threads = thread_count(config, "inter_op_thread_count")
    options.enable_cpu_mem_arena = boolean(config, "enable_mem_arena", True)
    options.enable_mem_pattern = boolean(config, "enable_mem_pattern", True)
    if _runs_in_parallel(config):
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    optimization = config.get("optimization") or {}
    level = _LEVELS.get(int(optimization.get("graph", {}).get("level", 0)), "ORT_ENABLE_ALL")
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    initializers = text(config, _INITIALIZERS)
    if initializers is not None:
        options.add_session_config_entry(_INITIALIZERS, initializers)
    # A waiting thread would otherwise spin on a core that another stub process could use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    for library in (config.get("model_operations") or {}).get("op_library_filename", ()):
        options.register_custom_ops_library(library)
    _require_known_accelerators(optimization)
    return options


def run_options(config: Mapping[str, Any]) -> Any:
    """An `onnxruntime.RunOptions`, or `None` where the configuration asks for nothing special."""
    import onnxruntime

    shrinkage = text(config, _SHRINKAGE)
    if shrinkage is None:
        return None
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(_SHRINKAGE, shrinkage)
    return options


def apply_torch_settings(config: Mapping[str, Any]) -> None:
    """Set PyTorch's threads and optimizations for this process, which serves one instance.

    Raises `ValueError` for a value that is no number or no truth value.
    """
    import torch

    threads = thread_count(config, "INTRA_OP_THREAD_COUNT")
    torch.set_num_threads(threads or threads_per_instance(config))
    between = thread_count(config, "INTER_OP_THREAD_COUNT")
    if between:
        torch.set_num_interop_threads(between)
    torch._C._set_graph_executor_optimize(not boolean(config, "DISABLE_OPTIMIZED_EXECUTION", False))
    for key, switch in _SWITCHES.items():
        if text(config, key) is not None:
            getattr(torch._C, switch)(boolean(config, key, True))


def _runs_in_parallel(config: Mapping[str, Any]) -> bool:
    mode = integer(config, "execution_mode", 0)
    if mode not in (0, 1):
        raise ValueError(
            "Invalid configuration value provided. Expected values for execution_mode are 0 or 1 "
            f"but got {mode}."
        )
    return mode == 1


def _require_known_accelerators(optimization: Mapping[str, Any]) -> None:
    """OpenVINO is ignored: it changes how fast the answers come, and no answer."""
    accelerators = optimization.get("execution_accelerators", {})
    for item in accelerators.get("cpu_execution_accelerator", ()):
        if item["name"] != "openvino":
            raise ValueError(f"unknown Execution Accelerator '{item['name']}' is requested")
