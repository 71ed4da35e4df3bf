"""The models that serve the trained churn network, for `trimaran publish`.

Each factory reads the run's directory, as `trimaran.training.churn` finds it.
"""

from __future__ import annotations

from ensembles.pipeline import Pipeline, PythonModel
from ensembles.tabular_classifier import feedback_model, fields_ensemble, record_model
from trimaran.training.churn import NAME, trained

__all__ = ["ensemble", "feedback", "record"]

_NETWORK = f"{NAME}_onnx"


def ensemble() -> Pipeline:
    """The ensemble `churn`, by named fields, for `trimaran publish ensembles.churn:ensemble`."""
    run = trained()
    return fields_ensemble(
        NAME, run.transform_text(), run.reference_text(), _NETWORK, run.answers()
    )


def record() -> PythonModel:
    """The model `churn_record`, by JSON text, for `trimaran publish ensembles.churn:record`."""
    run = trained()
    return record_model(NAME, run.transform_text(), run.reference_text(), _NETWORK, run.answers())


def feedback() -> PythonModel:
    """The model `churn_feedback`, which takes outcomes, for `trimaran publish`."""
    return feedback_model(NAME)
