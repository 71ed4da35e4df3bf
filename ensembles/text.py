"""The ensemble around the trained classifier of texts, for `trimaran publish`."""

from __future__ import annotations

from ensembles.pipeline import Pipeline
from ensembles.text_classifier import text_classifier
from trimaran.training.text.trained import trained

__all__ = ["ensemble"]


def ensemble() -> Pipeline:
    """The ensemble of the run that `trained` finds, for `trimaran publish ensembles.text:ensemble`.

    It has the name of the run's table, and its network is `<name>_onnx`.
    """
    run = trained()
    files = (run.text(f"{each}.json") for each in ("encoding", "vocabulary", "decision"))
    return text_classifier(run.name, f"{run.name}_onnx", *files)
