"""TensorRT inside Triton's `onnxruntime` backend, and the shapes that engines are built for.

The backend builds the engines when it loads the model. The parameters are those of the backend's
README; a server without a GPU ignores them, since they apply to instances on GPUs only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporters.spec import ModelSpec
from trimaran.checks.raising import checked_config
from trimaran.repository.config import ModelConfig
from trimaran.repository.repository import Repository
from trimaran.system.errors import ConfigError

__all__ = ["ACCELERATORS", "ShapeRange", "accelerate", "check_accelerated", "profile_of"]

_USUAL_BATCH = 8
"""What dynamic batching gathers under load, and what kernels are chosen for."""

ACCELERATORS = ("tensorrt",)
_MODES = {"fp32": "FP32", "fp16": "FP16", "int8": "INT8"}
_WORKSPACE_BYTES = 1 << 30


@dataclass(frozen=True)
class ShapeRange:
    """One input's shapes, batch first."""

    least: tuple[int, ...]
    usual: tuple[int, ...]
    most: tuple[int, ...]


def profile_of(spec: ModelSpec, max_batch_size: int) -> Mapping[str, ShapeRange]:
    """The range of each input: 1 to `max_batch_size` rows, and the span of its dynamic axes.

    The usual length of a dynamic axis is its example's.
    """
    axes = spec.axes
    profile = {}
    for name, example in spec.example_inputs.items():
        usual = list(example.shape[1:])
        least, most = list(usual), list(usual)
        for axis, item in axes.get(name, {}).items():
            least[axis - 1], most[axis - 1] = item.least, item.most
        profile[name] = ShapeRange(
            (1, *least), (min(_USUAL_BATCH, max_batch_size), *usual), (max_batch_size, *most)
        )
    return profile


def accelerate(config: ModelConfig, precision: str, profile: Mapping[str, ShapeRange]) -> None:
    """Ask for TensorRT in the configuration of an ONNX model.

    With the profile the engine is not built again for every new shape. Raises `ConfigError`
    for a precision that the backend does not offer.
    """
    if precision not in _MODES:
        raise ConfigError(
            f"{config.name}: the tensorrt accelerator has no {precision}; choose from "
            f"{', '.join(_MODES)}, or leave --accelerator out"
        )
    item = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="tensorrt")
    item.parameters["precision_mode"] = _MODES[precision]
    item.parameters["max_workspace_size_bytes"] = str(_WORKSPACE_BYTES)
    for key, which in (("min", "least"), ("opt", "usual"), ("max", "most")):
        item.parameters[f"trt_profile_{key}_shapes"] = ",".join(
            f"{name}:{'x'.join(map(str, getattr(shapes, which)))}"
            for name, shapes in profile.items()
        )


def check_accelerated(repository: Repository, name: str) -> None:
    """Refuse an existing configuration, which an export keeps, without the accelerator."""
    if not repository.has_config(name):
        return
    accelerators = checked_config(repository, name).optimization.execution_accelerators
    if not any(item.name == "tensorrt" for item in accelerators.gpu_execution_accelerator):
        raise ConfigError(
            f"{repository.config_path(name)} exists and has no accelerator; add tensorrt to "
            "its optimization section, or leave --accelerator out"
        )
