"""All architectures that are tried."""

from __future__ import annotations

from proofs.architectures import (
    audio,
    decoders,
    plain,
    recurrent,
    refusals,
    several_inputs,
    text,
    vision,
)
from proofs.architectures.architecture import Architecture

__all__ = ["catalogue", "find"]


def catalogue() -> tuple[Architecture, ...]:
    """Every architecture, by family."""
    modules = text, decoders, several_inputs, vision, audio, recurrent, plain, refusals
    return tuple(item for module in modules for item in module.architectures())


def find(name: str) -> Architecture:
    """The architecture of that name. Raises `KeyError`."""
    return {item.name: item for item in catalogue()}[name]
