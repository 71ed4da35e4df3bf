"""Rules for what Triton's pytorch backend cannot be told by a model file: TorchScript names no
results, so that the configuration has to.

Source: triton-inference-server/pytorch_backend, `libtorch.cc`.
"""

from __future__ import annotations

from tritonclient.grpc import model_config_pb2 as protocol

from trimaran.checks.finding import Problems, error
from trimaran.repository.config import ModelConfig

__all__ = ["check_pytorch"]

_SERVED = frozenset(
    protocol.DataType.Value(f"TYPE_{name}")
    for name in ("INVALID", "BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64")
) | frozenset(
    protocol.DataType.Value(f"TYPE_{name}") for name in ("FP16", "FP32", "FP64", "STRING")
)


def check_pytorch(config: ModelConfig) -> Problems:
    """Inputs and outputs that are not there, and what the backend has no counterpart of."""
    for kind, items in (("input", config.input), ("output", config.output)):
        if not items:
            yield error(
                kind,
                f"there is no {kind}, and no model.pt tells its {kind}s",
                f"declare every {kind}, with its name, data_type and dims",
            )
        for item in items:
            name = protocol.DataType.Name(item.data_type)
            if item.data_type not in _SERVED:
                yield error(
                    f"{kind}.{item.name}.data_type",
                    f"{kind} {item.name!r} is {name}, which the pytorch backend does not serve",
                    "use another type",
                )
            dims = item.reshape.shape if item.HasField("reshape") else item.dims
            axes = len(dims) + (1 if config.max_batch_size > 0 else 0)
            if item.data_type == protocol.TYPE_STRING and axes > 1:
                yield error(
                    f"{kind}.{item.name}.dims",
                    f"{kind} {item.name!r} is TYPE_STRING with {axes} axes, and the pytorch "
                    "backend takes texts with one alone",
                    "leave one axis, the batch's or its own",
                )
    for item in config.input:
        if item.optional:
            yield error(
                f"input.{item.name}.optional",
                f"input {item.name!r} is optional, which the pytorch backend does not support",
                "remove optional",
            )
