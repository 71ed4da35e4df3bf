"""All rules for one configuration by itself, in the order in which they are reported."""

from __future__ import annotations

from trimaran.checks.backends import AOTI, backend_of, check_pytorch
from trimaran.checks.ensemble import check_ensemble
from trimaran.checks.finding import Problems, error
from trimaran.checks.packages import check_package
from trimaran.checks.scheduling import check_batching, check_instances
from trimaran.checks.sequences import check_sequences
from trimaran.checks.tensors import check_tensors
from trimaran.repository.config import ModelConfig, is_ensemble

__all__ = ["check_model", "check_name", "check_newer", "check_parameters"]

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


def check_name(config: ModelConfig, directory: str) -> Problems:
    """A name that is not the directory's; a missing one is the directory's."""
    if config.name and config.name != directory:
        yield error(
            "name",
            f"name is {config.name!r} but the directory is {directory!r}; Triton wants them equal",
            "rename one",
        )


def check_model(
    config: ModelConfig, directory: str, backend: str | None = None, *, partial: bool = False
) -> Problems:
    """What is wrong with a configuration, without a look at any file.

    `backend` is what Triton completes it to where the files are known. With `partial`, tensors may
    leave to the model what their type and dims are.
    """
    backend = backend_of(config) if backend is None else backend
    yield from check_name(config, directory)
    yield from check_tensors(config, backend, partial=partial)
    yield from check_batching(config)
    yield from check_sequences(config)
    if is_ensemble(config):
        yield from check_ensemble(config)
    else:
        yield from check_instances(config, backend)
        yield from check_parameters(config, backend)
        if backend == "pytorch":
            yield from check_pytorch(config)
        if config.platform == AOTI:
            yield from check_package(config)


def check_newer(config: ModelConfig) -> Problems:
    """Fields that tritonserver 2.51, which trimaran embeds, does not know yet.

    Not part of `check_model`, because a newer server serves them.
    """
    newer = {
        "model_metrics": config.HasField("model_metrics"),
        "max_inflight_requests": config.ensemble_scheduling.max_inflight_requests > 0,
        "is_non_linear_format_io": any(
            item.is_non_linear_format_io for item in (*config.input, *config.output)
        ),
    }
    for field, used in newer.items():
        if used:
            yield error(
                field,
                f"{field} is not known to tritonserver 2.51, which refuses the configuration",
                "remove it, or serve with a newer tritonserver",
            )


def check_parameters(config: ModelConfig, backend: str) -> Problems:
    """Parameters with a wrong number, switch or choice, for which the backend refuses the model."""
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
