"""What serves a trained run of any family, as `trimaran publish runs/NAME/latest` takes it."""

from __future__ import annotations

from collections.abc import Sequence

from ensembles import image_classifier, tabular_classifier, text_classifier
from ensembles.pipeline import Pipeline, PythonModel
from trimaran.training.image.trained import image_run
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.text.trained import text_run

__all__ = ["models_of_run"]


def models_of_run(run: TrainedRun) -> Sequence[Pipeline | PythonModel]:
    """The ensembles and models of a run of photographs, of texts or of a table."""
    if of_images := image_run(run.directory):
        return image_classifier.models_of(of_images)
    if of_texts := text_run(run.directory):
        return text_classifier.models_of(of_texts)
    return tabular_classifier.models_of(run)
