"""What serves a trained run of any family, as `trimaran publish runs/NAME/latest` takes it."""

from __future__ import annotations

from collections.abc import Sequence

from ensembles import image_classifier, recommender, tabular_classifier, text_classifier
from ensembles.pipeline import Pipeline, PythonModel
from trimaran.system.errors import UsageError
from trimaran.training.image.trained import image_run
from trimaran.training.recommender.trained import recommender_run
from trimaran.training.tabular.runs.trained import TrainedRun
from trimaran.training.text.trained import text_run

__all__ = ["models_of_run"]


def models_of_run(run: TrainedRun, *, logged: bool = False) -> Sequence[Pipeline | PythonModel]:
    """The ensembles and models of a run of photographs, of texts, of choices or of a table.

    With `logged`, a table's pipeline has a step that can log its answers; those of photographs and
    texts can without, and those of choices cannot. Raises `UsageError` for `logged` and another
    run than that of a table.
    """
    of_images, of_texts = image_run(run.directory), text_run(run.directory)
    of_choices = recommender_run(run.directory)
    if logged and (of_images or of_texts or of_choices):
        raise UsageError(f"{run.directory} is not the run of a table; publish it without --logged")
    if of_images:
        return image_classifier.models_of(of_images)
    if of_texts:
        return text_classifier.models_of(of_texts)
    if of_choices:
        return recommender.models_of(of_choices)
    return tabular_classifier.models_of(run, logged=logged)
