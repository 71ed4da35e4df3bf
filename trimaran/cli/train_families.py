"""What `trimaran train` trains, and which of its options each family takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimaran.system.errors import UsageError

__all__ = ["CHOICES", "FAMILIES", "IMAGES", "MODELS", "TABLES", "TEXTS", "Family", "family_of"]

_ALWAYS = frozenset({"table", "name", "seed", "out"})


@dataclass(frozen=True)
class Family:
    """One kind of data, and what is learnt from it."""

    of: str
    """In words, such as `texts`."""
    options: frozenset[str]
    """Of the command, beyond those that all take."""
    models: tuple[str, ...] = ()
    """The values of `--model`, the default first."""
    public: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    """Public tables by name, and the options that describe other tables of their form."""


TABLES = Family(
    "records of a table",
    frozenset(
        {"target", "task", "positive", "model", "trials", "objective", "seeds", "folds"}
        | {"imbalance", "cost_missed", "cost_alarm", "time", "query", "sheet", "schema", "track"}
    ),
    ("mlp", "tabnet", "linear", "forest", "boosting"),
    {"churn": {}, "mlc_churn": {}, "wa_churn": {}, "card_fraud": {}},
)
TEXTS = Family(
    "texts",
    frozenset({"text", "target", "positive", "model", "epochs"}),
    ("encoder", "tfidf"),
    {"food_reviews": {"text": "review", "target": "score", "positive": "great"}},
)
IMAGES = Family("a folder of photographs", frozenset({"epochs"}))
CHOICES = Family(
    "recommenders",
    frozenset({"user", "item", "rating", "time", "liked", "top", "model"}),
    ("ease", "towers"),
    {"movielens": {each: each for each in ("user", "item", "rating", "time")}},
)
FAMILIES = (TABLES, TEXTS, IMAGES, CHOICES)
MODELS = tuple(model for family in FAMILIES for model in family.models)


def family_of(table: str, given: Collection[str], model: str | None) -> Family:
    """What the command's argument is, by itself and by the options that were given.

    Raises `UsageError` for an option or a model that is another family's.
    """
    family = _family(table, given)
    for option in given:
        if option not in family.options | _ALWAYS:
            fitting = " and ".join(each.of for each in FAMILIES if option in each.options)
            raise UsageError(
                f"--{option.replace('_', '-')} is not for {family.of}, but for {fitting}; leave it "
                "out"
            )
    if model is not None and model not in family.models:
        raise UsageError(
            f"--model {model} is not for {family.of}; choose from {', '.join(family.models)}"
        )
    return family


def _family(table: str, given: Collection[str]) -> Family:
    named = next((family for family in FAMILIES if table in family.public), None)
    asked = {TEXTS: "text" in given, CHOICES: not {"user", "item"}.isdisjoint(given)}
    if all(asked.values()):
        raise UsageError("--text is for texts, and --user and --item for recommenders; choose one")
    if named:
        return named
    if Path(table).is_dir():
        return IMAGES
    return next((family for family, is_asked in asked.items() if is_asked), TABLES)
