"""Whether a feature plan suits a schema: every name in it is known, and can be used so."""

from __future__ import annotations

from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.data.schema import Schema, nearest
from trimaran.training.tabular.features.plan import FeaturePlan

__all__ = ["check_plan"]

_OF_NUMBER = ("impute", "outliers", "scale")
_OF_CATEGORY = ("encode", "missing", "scale")
_OF_DERIVED = ("scale",)


def check_plan(plan: FeaturePlan, schema: Schema) -> None:
    """Raise `TrimaranError` for a name or an option that does not suit the schema.

    What depends on the data (one-hot columns of categories whose values the schema does not list,
    flags of numbers that may lack values) is left to `fit.fit_features`.
    """
    numbers = {field.name for field in schema.numbers}
    categories = {field.name for field in schema.categories}
    derived = {column.name for column in plan.derived}
    for name in sorted(derived & (numbers | categories)):
        raise TrimaranError(f"the derived column {name!r} has the name of a field; rename it")
    kinds = {
        **dict.fromkeys(numbers, ("a number", _OF_NUMBER)),
        **dict.fromkeys(categories, ("a category", _OF_CATEGORY)),
        **dict.fromkeys(derived, ("a derived column", _OF_DERIVED)),
    }
    for column, options in plan.overrides.items():
        if column not in kinds:
            raise TrimaranError(
                f"there is no column {column!r} to override; {nearest(column, kinds)}"
            )
        kind, allowed = kinds[column]
        for option in options:
            if option not in allowed:
                raise TrimaranError(
                    f"the override of {column!r} has the option {option!r}, and {column!r} is "
                    f"{kind}; {nearest(option, allowed)}"
                )
        encode = plan.option(column, "encode")
        if column in categories and "scale" in options and encode in ("onehot", "binary"):
            raise TrimaranError(
                f"the override of {column!r} has a scale, and the encoding {encode} is of 0 and 1, "
                "which are not scaled; remove the scale"
            )
    for name in plan.flag_missing if isinstance(plan.flag_missing, tuple) else ():
        if name in categories:
            raise TrimaranError(
                f"flag_missing lists {name!r}, which is a category; give it missing = category"
            )
        if name not in numbers:
            raise TrimaranError(
                f"flag_missing lists no number {name!r}; {nearest(name, sorted(numbers))}"
            )
    _check_sources(plan, schema, numbers)
    for binning in plan.bins:
        if binning.of in categories:
            raise TrimaranError(
                f"bins are of numbers, and {binning.of!r} is a category; remove these bins"
            )
        if binning.of not in numbers | derived:
            hint = nearest(binning.of, sorted(numbers | derived))
            raise TrimaranError(f"there is no column {binning.of!r} to bin; {hint}")


def _check_sources(plan: FeaturePlan, schema: Schema, numbers: set[str]) -> None:
    """Each derived column is of columns that there are, or of one-hot ones that there may be."""
    known = {*numbers, *(f"{name}_missing" for name in numbers)}
    open_prefixes = []
    onehot = set()
    for field in schema.categories:
        if plan.option(field.name, "encode") != "onehot":
            known.add(field.name)
            continue
        onehot.add(field.name)
        known.add(f"{field.name}_missing")
        if field.values is None:
            open_prefixes.append(f"{field.name}=")
        known.update(f"{field.name}={value}" for value in field.values or ())
    for derived in plan.derived:
        for name in derived.of:
            if name in onehot:
                raise TrimaranError(
                    f"the derived column {derived.name!r} is of {name!r}, which is one-hot "
                    f"encoded; name one of its columns, {name}=VALUE, or encode it otherwise"
                )
            if name not in known and not name.startswith(tuple(open_prefixes)):
                raise TrimaranError(
                    f"the derived column {derived.name!r} is of {name!r}, and there is no such "
                    f"column; {nearest(name, sorted(known))}"
                )
        known.add(derived.name)
