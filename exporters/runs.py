"""A trained run of any family, as `trimaran export runs/NAME/latest` takes it."""

from __future__ import annotations

from exporters import images, recommenders, tables, texts
from exporters.spec import ModelSpec
from trimaran.training.image.trained import image_run
from trimaran.training.recommender.trained import recommender_run
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.text.trained import text_run

__all__ = ["model_of_run"]


def model_of_run(run: TrainedRun) -> ModelSpec:
    """The network of a run of photographs, of texts, of choices or of a table."""
    if of_images := image_run(run.directory):
        return images.model_of(of_images)
    if of_texts := text_run(run.directory):
        return texts.model_of(of_texts)
    if of_choices := recommender_run(run.directory):
        return recommenders.model_of(of_choices)
    return tables.model_of(run)
