"""Rules for TensorFlow's two formats: a SavedModel tells its tensors, a bare graph does not.

Source: triton-inference-server/tensorflow_backend, `tensorflow.cc`.
"""

from __future__ import annotations

from collections.abc import Iterable

from trimaran.checks.finding import Problems, error
from trimaran.repository.config import ModelConfig

__all__ = ["SAVED_MODEL", "check_tensorflow", "tensorflow_file"]

SAVED_MODEL, _GRAPH = "model.savedmodel", "model.graphdef"


def tensorflow_file(config: ModelConfig, entries: Iterable[str]) -> str:
    """What the backend loads by default; `entries` lie in the model's first version."""
    if config.platform:
        return _GRAPH if config.platform == "tensorflow_graphdef" else SAVED_MODEL
    here, named = set(entries), config.default_model_filename
    is_graph = named == _GRAPH or (_GRAPH in here and SAVED_MODEL not in here)
    return _GRAPH if is_graph else SAVED_MODEL


def check_tensorflow(config: ModelConfig, entries: Iterable[str]) -> Problems:
    """A graph without a configuration of its tensors."""
    if tensorflow_file(config, entries) == _GRAPH and not (config.input or config.output):
        yield error(
            "input",
            f"there is neither input nor output, and no {_GRAPH} tells them",
            "declare every input and output, with its name, data_type and dims",
        )
