"""The trained churn model, as `trimaran export` and `trimaran publish` take it.

Each factory reads the run directory that the environment variable `TRIMARAN_RUN` names, or else
the run that `trimaran train churn` finished last below `runs/churn` of the working directory.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ensembles.pipeline import Pipeline, PythonModel
from ensembles.tabular_classifier import feedback_model, fields_ensemble, record_model
from training.tabular.learning.trained import TrainedRun, latest_run
from trimaran.errors import TrimaranError

if TYPE_CHECKING:  # torch takes seconds to import, and an ensemble needs none of it
    from torch import Tensor

    from exporters.spec import ModelSpec

__all__ = ["NAME", "RUN_VARIABLE", "ensemble", "feedback", "model", "record", "trained"]

NAME = "churn"
RUN_VARIABLE = "TRIMARAN_RUN"

_RUNS = Path("runs") / NAME
_CLASSIFIER = f"{NAME}_onnx"


def trained() -> TrainedRun:
    """The run that the factories read. Raises `TrimaranError` where there is none."""
    named = os.environ.get(RUN_VARIABLE)
    if named:
        run = TrainedRun(Path(named))
        if not run.is_finished:
            raise TrimaranError(
                f"{RUN_VARIABLE} names {named}, which is no finished run; name a directory that "
                "holds metrics.json"
            )
        return run
    latest = latest_run(_RUNS)
    if latest is None:
        raise TrimaranError(
            f"no trained churn model in {_RUNS}; train one with 'trimaran train churn'"
        )
    return latest


def model() -> ModelSpec:
    """The network with its threshold, as `trimaran export training.churn:model` takes it.

    `features`, float32 `[batch, columns]`, are what the transform gives. `probability` is float32
    `[batch, 1]`, `prediction` bool `[batch, 1]`. Exports are verified on rows of the training part.
    """
    import torch

    from exporters.spec import ModelSpec

    run = trained()
    features = run.samples()

    def samples(batch_size: int, seed: int) -> dict[str, Tensor]:
        rows = np.random.default_rng(seed).integers(len(features), size=batch_size)
        return {"features": torch.from_numpy(features[rows])}

    return ModelSpec(
        name=NAME,
        module=run.classifier(),
        example_inputs=samples(2, 0),
        output_names=["probability", "prediction"],
        samples=samples,
    )


def ensemble() -> Pipeline:
    """The ensemble `churn`, by named fields, for `trimaran publish training.churn:ensemble`."""
    run = trained()
    return fields_ensemble(NAME, run.transform_text(), run.reference_text(), _CLASSIFIER)


def record() -> PythonModel:
    """The model `churn_record`, by JSON text, for `trimaran publish training.churn:record`."""
    run = trained()
    return record_model(NAME, run.transform_text(), run.reference_text(), _CLASSIFIER)


def feedback() -> PythonModel:
    """The model `churn_feedback`, which takes outcomes, for `trimaran publish`."""
    return feedback_model(NAME)
