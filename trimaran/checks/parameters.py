"""Rules for the parameters that a backend reads, where a wrong value refuses the model."""

from __future__ import annotations

from trimaran.checks.finding import Problems, error
from trimaran.repository.config import ModelConfig

__all__ = ["check_parameters"]

_BOOLEANS = ("1", "0", "true", "false", "on", "off")
_INTEGERS = {
    "onnxruntime": ("intra_op_thread_count", "inter_op_thread_count", "execution_mode"),
    "pytorch": ("INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"),
}
_SWITCHES = {
    "onnxruntime": ("enable_mem_arena", "enable_mem_pattern"),
    "pytorch": ("INFERENCE_MODE", "DISABLE_OPTIMIZED_EXECUTION"),
    "python": ("FORCE_CPU_ONLY_INPUT_TENSORS",),
}


_CHOICES = {
    "tensorrt": {"execution_context_allocation_strategy": ("STATIC", "ON_PROFILE_CHANGE")},
}


def check_parameters(config: ModelConfig, backend: str) -> Problems:
    """Numbers, switches and choices that are none."""
    for key in _INTEGERS.get(backend, ()):
        value = config.parameters[key].string_value if key in config.parameters else "0"
        if not value.strip().removeprefix("-").isdecimal():
            yield error(f"parameters.{key}", f"{key} is {value!r}", "write a whole number")
        elif key == "execution_mode" and value.strip() not in ("0", "1"):
            yield error(f"parameters.{key}", f"{key} is {value!r}", "write 0 or 1")
    for key in _SWITCHES.get(backend, ()):
        value = config.parameters[key].string_value if key in config.parameters else ""
        known = ("yes", "no") if backend == "python" else _BOOLEANS
        if key in config.parameters and value.lower() not in known:
            yield error(f"parameters.{key}", f"{key} is {value!r}", f"write {' or '.join(known)}")
    for key, choices in _CHOICES.get(backend, {}).items():
        value = config.parameters[key].string_value if key in config.parameters else choices[0]
        if value not in choices:
            yield error(f"parameters.{key}", f"{key} is {value!r}", f"write {' or '.join(choices)}")
