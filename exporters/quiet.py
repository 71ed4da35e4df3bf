"""Torch without its warnings, its log and its gradients, while modules are run and captured."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import torch

__all__ = ["quiet", "silent_torch"]


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
