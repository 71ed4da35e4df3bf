"""PyTorch's settings for a model, as the native backend reads them from its configuration.

They are the process's own, and a stub process serves one instance of one model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimaran.serving.backends import settings

__all__ = ["apply"]

_SWITCHES = {
    "ENABLE_JIT_EXECUTOR": "_jit_set_profiling_executor",
    "ENABLE_JIT_PROFILING": "_jit_set_profiling_mode",
    "ENABLE_TENSOR_FUSER": "_jit_set_texpr_fuser_enabled",
}
"""What TorchScript's optimizer is left to decide unless the configuration says."""


def apply(config: Mapping[str, Any]) -> None:
    """Set threads and optimizations for this process. Raises `ValueError` for an unclear value."""
    import torch

    threads = settings.thread_count(config, "INTRA_OP_THREAD_COUNT")
    torch.set_num_threads(threads or settings.threads_per_instance(config))
    between = settings.thread_count(config, "INTER_OP_THREAD_COUNT")
    if between:
        torch.set_num_interop_threads(between)
    torch._C._set_graph_executor_optimize(
        not settings.boolean(config, "DISABLE_OPTIMIZED_EXECUTION", False)
    )
    for key, switch in _SWITCHES.items():
        if settings.text(config, key) is not None:
            getattr(torch._C, switch)(settings.boolean(config, key, True))
