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

    def model(self) -> PythonModel:
        """Itself."""
        return self


class Model(Protocol):
    """What is a Python model when it is published: one, or a function that is a step."""

    @property
    def name(self) -> str:
        """What it is called in the repository."""

    def model(self) -> PythonModel:
        """The Python model."""


@dataclass(frozen=True)
class Step:
    """One model of an ensemble; the maps go from the model's tensors to the ensemble's.

    `model` is the name of a model that stands in the repository, or a Python model or function of
    the pipeline's own, which is published with it. Raises `UsageError` for anything else.
    """

    model: str | Model
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) and not hasattr(self.model, "model"):
            called = getattr(self.model, "__name__", repr(self.model))
            raise UsageError(
                f"the step {called} is a {type(self.model).__name__}; give a model's name, a "
                "PythonModel, or a function with the decorator python_step"
            )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model if isinstance(self.model, str) else self.model.name


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
                model_name=step.name,
                model_version=-1,
                input_map=step.inputs,
                output_map=step.outputs,
            )
        return config


@dataclass(frozen=True)
class Pipeline:
    """What `trimaran publish` takes: an ensemble, with the Python models among its steps.

    `models` are further ones, such as those of steps that are given by name.
    """

    ensemble: Ensemble
    models: Sequence[Model] = ()

    def python_models(self) -> list[PythonModel]:
        """Every Python model of its own, once, in the order of the steps.

        Raises `UsageError` where two models have one name.
        """
        own = [step.model for step in self.ensemble.steps if not isinstance(step.model, str)]
        found: dict[str, Model] = {}
        for each in (*own, *self.models):
            if found.setdefault(each.name, each) is not each:
                raise UsageError(
                    f"the pipeline {self.ensemble.name} has two models called {each.name}; give "
                    "one of them another name"
                )
        return [each.model() for each in found.values()]
