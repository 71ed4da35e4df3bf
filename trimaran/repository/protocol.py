"""Triton's own protobuf of configurations.

It is a module of Triton's client, whose import loads gRPC, and takes longer than most of what a
command does with a configuration. So it is loaded without its package.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tritonclient.grpc import model_config_pb2 as protocol
    from tritonclient.grpc.model_config_pb2 import ModelConfig

__all__ = ["ModelConfig", "protocol"]

_NAME = "tritonclient.grpc.model_config_pb2"


def _loaded() -> ModuleType:
    """The module, which the client takes for its own when it is imported later."""
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    client, *inner = _NAME.split(".")
    package = find_spec(client)
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {client!r}", name=client)
    file = Path(package.submodule_search_locations[0], *inner).with_suffix(".py")
    loader = SourceFileLoader(_NAME, str(file))
    module = module_from_spec(ModuleSpec(_NAME, loader, origin=str(file)))
    loader.exec_module(module)
    sys.modules[_NAME] = module
    return module


if not TYPE_CHECKING:
    protocol = _loaded()
    ModelConfig = protocol.ModelConfig
