"""What NVIDIA's own ONNX Runtime and PyTorch backends serve, and trimaran's runtime does not."""

from __future__ import annotations

from trimaran.checks.finding import Problems, warning
from trimaran.repository.config import ModelConfig

__all__ = ["check_native_features"]

_BACKENDS = ("onnxruntime", "pytorch")


def check_native_features(config: ModelConfig, backend: str) -> Problems:
    """Features for which a model has to be served with NVIDIA's container."""
    if backend not in _BACKENDS:
        return
    used = {
        "sequence_batching.control_input": bool(config.sequence_batching.control_input),
        "sequence_batching.state": bool(config.sequence_batching.state),
        "batch_input": bool(config.batch_input),
        "batch_output": bool(config.batch_output),
        "allow_ragged_batch": any(item.allow_ragged_batch for item in config.input),
    }
    for field, is_used in used.items():
        if is_used:
            yield warning(
                field,
                f"{field.rpartition('.')[2]} is served by NVIDIA's container alone, and trimaran's "
                "own runtime refuses the model",
                "serve it with NVIDIA's container, or make it a Python model",
            )
