"""The global state of torch while modules are run and captured: no warnings, log or gradients."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch

__all__ = [
    "changed",
    "quiet",
    "silent_torch",
    "without",
]


@contextmanager
def quiet() -> Iterator[None]:
    """Without gradients, and without the warnings that capturing a module emits."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def silent_torch() -> Iterator[None]:
    """Without torch's log, and the graph that it prints when it gives up: the error says enough."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def changed(names: MutableMapping[Any, Any], values: Mapping[Any, Any]) -> Iterator[None]:
    """Change what names stand for within the block."""
    with without(names, values):
        names.update(values)
        yield


@contextmanager
def without(names: MutableMapping[Any, Any], those: Iterable[Any]) -> Iterator[None]:
    """Take names out within the block."""
    before = {name: names.pop(name) for name in tuple(those) if name in names}
    try:
        yield
    finally:
        for name in those:
            names.pop(name, None)
        names.update(before)
