"""An ensemble as typed wiring, with the Python models that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from trimaran.repository import dtypes
from trimaran.repository.config import ModelConfig, add_tensors
from trimaran.repository.dtypes import TensorSpec
from trimaran.repository.repository import check_model_name
from trimaran.system.errors import UsageError

__all__ = ["Ensemble", "Pipeline", "PythonModel", "Step", "tensor"]


def tensor(name: str, dtype: str, *dims: int, optional: bool = False) -> TensorSpec:
    """A tensor by its Triton type, without the batch axis: `tensor("IMAGE", "BYTES", 1)`.

    Raises `UsageError` for a type that Triton does not have.
    """
    try:
        found = dtypes.by_triton(dtype)
    except KeyError:
        known = ", ".join(each.triton for each in dtypes.DTYPES)
        raise UsageError(
            f"tensor {name!r}: there is no type {dtype!r}; choose from {known}"
        ) from None
    return TensorSpec(name, found, dims, optional=optional)


@dataclass(frozen=True)
class PythonModel:
    """A self-contained model for Triton's Python backend.

    `entry` is a module of `trimaran.served`, such as `trimaran.served.labels_model`: publishing
    copies it into the version directory, with every module that it imports. A model of your own
    has `sources` instead, which are copied side by side, `model.py` among them. So an old version
    keeps its behaviour. `modules` are further Python files, by path in the version directory.
    `trial` is called with the finished version, and what it raises keeps it from being published.

    `files` are written there too: whatever may differ from version to version. `artifacts` are
    files of other models, by name: publishing copies each from the newest version of the model
    that holds it.
    """

    name: str
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    sources: Sequence[Path] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    max_batch_size: int = 32
    entry: str = ""
    modules: Mapping[str, bytes] = field(default_factory=dict)
    trial: Callable[[Path], None] | None = None

    def config(self) -> ModelConfig:
        """The configuration to start with: one instance, dynamic batching without delay."""
        config = ModelConfig(
            name=check_model_name(self.name), backend="python", max_batch_size=self.max_batch_size
        )
        add_tensors(config, self.inputs, self.outputs)
        config.instance_group.add(count=1)
        config.dynamic_batching.SetInParent()
        for key, value in self.parameters.items():
            config.parameters[key].string_value = value
        return config


class Model(Protocol):
    """What becomes a Python model when it is published, such as a function that is a step."""

    def model(self) -> PythonModel:
        """The Python model."""


@dataclass(frozen=True)
class Step:
    """One model of an ensemble; the maps go from the model's tensors to the ensemble's."""

    model: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Ensemble:
    """Steps tied together by the names of the tensors between them."""

    name: str
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    steps: Sequence[Step]
    max_batch_size: int = 32

    def config(self) -> ModelConfig:
        """The wiring, with each step at its newest version; a release pins them."""
        config = ModelConfig(
            name=check_model_name(self.name),
            platform="ensemble",
            max_batch_size=self.max_batch_size,
        )
        add_tensors(config, self.inputs, self.outputs)
        for step in self.steps:
            config.ensemble_scheduling.step.add(
                model_name=step.model,
                model_version=-1,
                input_map=step.inputs,
                output_map=step.outputs,
            )
        return config


@dataclass(frozen=True)
class Pipeline:
    """What `trimaran publish` takes: an ensemble, and the Python models and steps of its own."""

    ensemble: Ensemble
    models: Sequence[PythonModel | Model]
