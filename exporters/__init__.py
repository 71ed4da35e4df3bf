"""A trained `nn.Module` becomes a verified artifact of one format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trimaran  # noqa: F401 - turns off ONNX Runtime's telemetry, before any module imports that

if TYPE_CHECKING:
    from exporters.spec import ModelSpec

__all__ = ["ModelSpec"]


def __getattr__(name: str) -> Any:
    """`ModelSpec`, imported with torch when it is first asked for."""
    if name == "ModelSpec":
        from exporters.spec import ModelSpec

        return ModelSpec
    raise AttributeError(f"module 'exporters' has no attribute {name!r}")
