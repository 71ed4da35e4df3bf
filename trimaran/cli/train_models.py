"""The models of `trimaran train`, and what each is for."""

from __future__ import annotations

from enum import StrEnum

from trimaran.cli import train_recommender as recommenders
from trimaran.cli import train_texts as texts
from trimaran.system.errors import UsageError

__all__ = ["Model", "chosen_model"]


class Model(StrEnum):
    """The networks, the models that are none, those of texts, and the recommenders."""

    mlp = "mlp"
    tabnet = "tabnet"
    linear = "linear"
    forest = "forest"
    boosting = "boosting"
    encoder = "encoder"
    tfidf = "tfidf"
    ease = "ease"
    towers = "towers"


def chosen_model(given: Model | None, of_texts: bool, recommends: bool) -> Model:
    """The model that was given, or the default one of the table's kind.

    Raises `UsageError` for a model of another kind.
    """
    usual = texts.MODELS[0] if of_texts else recommenders.MODELS[0] if recommends else Model.mlp
    model = given or Model(usual)
    for models, is_kind, kind, otherwise in (
        (texts.MODELS, of_texts, "of texts", "of a table without --text"),
        (recommenders.MODELS, recommends, "a recommender", "for a table without --user and --item"),
    ):
        if is_kind != (model.value in models):
            fitting = kind if is_kind else otherwise
            raise UsageError(f"--model {model.value} is not {fitting}; leave it out")
    return model
