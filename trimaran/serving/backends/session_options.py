"""ONNX Runtime's options for a model, as the native backend reads them from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimaran.serving.backends import settings

__all__ = ["run_options", "session_options"]

_LEVELS = {-1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}
"""`optimization { graph { level } }`; any other number means all optimizations."""

_INITIALIZERS = "session.use_device_allocator_for_initializers"
_SHRINKAGE = "memory.enable_memory_arena_shrinkage"


def session_options(config: Mapping[str, Any]) -> Any:
    """An `onnxruntime.SessionOptions`.

    `config` is Triton's JSON form. Raises `ValueError` for a value that the native backend
    refuses.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.thread_count(
        config, "intra_op_thread_count"
    ) or settings.threads_per_instance(config)
    options.inter_op_num_threads = settings.thread_count(config, "inter_op_thread_count")
    options.enable_cpu_mem_arena = settings.boolean(config, "enable_mem_arena", True)
    options.enable_mem_pattern = settings.boolean(config, "enable_mem_pattern", True)
    if _runs_in_parallel(config):
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    optimization = config.get("optimization") or {}
    level = _LEVELS.get(int(optimization.get("graph", {}).get("level", 0)), "ORT_ENABLE_ALL")
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    initializers = settings.text(config, _INITIALIZERS)
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

    shrinkage = settings.text(config, _SHRINKAGE)
    if shrinkage is None:
        return None
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(_SHRINKAGE, shrinkage)
    return options


def _runs_in_parallel(config: Mapping[str, Any]) -> bool:
    mode = settings.integer(config, "execution_mode", 0)
    if mode not in (0, 1):
        raise ValueError(
            "Invalid configuration value provided. Expected values for execution_mode are 0 or 1 "
            f"but got {mode}."
        )
    return mode == 1


def _require_known_accelerators(optimization: Mapping[str, Any]) -> None:
    """OpenVINO changes how fast the answers come, not what they are, so that it is passed over."""
    accelerators = optimization.get("execution_accelerators", {})
    for item in accelerators.get("cpu_execution_accelerator", ()):
        if item["name"] != "openvino":
            raise ValueError(f"unknown Execution Accelerator '{item['name']}' is requested")
