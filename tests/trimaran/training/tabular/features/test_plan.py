from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.trimaran.training.tabular.telephony import EVERYTHING, NUMBERS, fitted
from trimaran.served.transform import Derived
from trimaran.system.errors import TrimaranError
from trimaran.training.tabular.features.plan import Binning, FeaturePlan


def test_a_plan_survives_json() -> None:
    for plan in (FeaturePlan(), EVERYTHING, replace(EVERYTHING, flag_missing=("calls",))):
        assert FeaturePlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"impute": "medina"}, "impute is 'medina'; did you mean 'median'?"),
        ({"encode": None}, "encode is None; choose from onehot, ordinal, target, binary"),
        ({"scale": 1}, "scale is 1; choose from None, standard, minmax"),
        ({"imputed": "mean"}, "the feature plan has no option 'imputed'; did you mean 'impute'?"),
        ({"max_missing": 1.5}, "max_missing is 1.5; give a share from 0 to 1"),
        ({"max_missing": "0.7"}, "max_missing is '0.7'; give a share"),
        ({"smoothing": -1}, "smoothing is -1; give 0 or more rows"),
        ({"flag_missing": "calls"}, "flag_missing is 'calls'; give a list of columns"),
        ({"leave_out": "calls"}, "leave_out is 'calls'; give a list of columns"),
        ({"derived": {}}, "derived is {}; give a list of tables"),
        ({"derived": [{"name": "x"}]}, "entry 0 of derived has no 'operation'; add it"),
        ({"bins": [{"of": "calls", "edge": [1]}]}, "entry 0 of bins has no option 'edge'; did you"),
        ({"bins": [{"of": "calls"}]}, "the bins of 'calls' need either a count or edges"),
        ({"bins": [{"of": "calls", "count": 3, "edges": [1]}]}, "the bins of 'calls' need either"),
        ({"bins": [{"of": "calls", "count": 1}]}, "the bins of 'calls' have the count 1; give 2"),
        ({"bins": [{"of": "calls", "edges": [2, 1]}]}, "the bins of 'calls' have edges that do no"),
        ({"bins": [{"of": "calls", "edges": ["a"]}]}, "the bins of 'calls' have the edges ['a']"),
        (
            {"bins": [{"of": "calls", "count": 3, "encode": "target"}]},
            "the bins of 'calls': encode is 'target'; choose from onehot, ordinal",
        ),
        ({"overrides": []}, "overrides is []; give a table by column"),
        ({"overrides": {"calls": "mean"}}, "the override of 'calls' is 'mean'; give options"),
        (
            {"overrides": {"calls": {"imput": "mean"}}},
            "the override of 'calls' has no option 'imput'; did you mean 'impute'?",
        ),
        (
            {"overrides": {"calls": {"impute": "maen"}}},
            "the override of 'calls': impute is 'maen'; did you mean 'mean'?",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(TrimaranError, match=f"^{re.escape(message)}"):
        FeaturePlan.from_dict(document)


@pytest.mark.parametrize(
    ("derived", "message"),
    [
        ([("a", "sums", ["calls", "charge"])], "the derived column 'a': operation is 'sums'; did"),
        ([("a", "log", ["calls", "charge"])], "the derived column 'a' is a log of 2 columns; give"),
        ([("a", "sum", ["calls"])], "the derived column 'a' is a sum of 1 columns; give 2 or more"),
        ([("a", "product", NUMBERS)], "the derived column 'a' is a product of 3 columns; give 2"),
        ([("a", "log", ["calls"])] * 2, "two derived columns are named 'a'; rename one"),
        ([("a", "log", ["a"])], "derived columns depend on one another ('a' of 'a')"),
        (
            [("a", "log", ["b"]), ("b", "log", ["c"]), ("c", "log", ["a"])],
            "derived columns depend on one another (",
        ),
        (
            [("a", "log", ["b"]), ("b", "log", ["calls"])],
            "the derived column 'a' is of 'b', which comes after it; put 'b' first",
        ),
    ],
)
def test_derived_columns_that_cannot_be_are_refused(derived: list[Any], message: str) -> None:
    with pytest.raises(TrimaranError, match=f"^{re.escape(message)}"):
        FeaturePlan(derived=tuple(Derived(*entry) for entry in derived))


def log_of(name: str) -> FeaturePlan:
    return FeaturePlan(derived=(Derived("x", "log", (name,)),))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (
            FeaturePlan(overrides={"call": {"impute": "mean"}}),
            "there is no column 'call' to override; did you mean 'calls'?",
        ),
        (
            FeaturePlan(overrides={"region": {"impute": "mean"}}),
            "the override of 'region' has the option 'impute', and 'region' is a category; choose",
        ),
        (
            FeaturePlan(overrides={"region": {"scale": "minmax"}}),
            "the override of 'region' has a scale, and the encoding onehot gives 0 and 1",
        ),
        (FeaturePlan(flag_missing=("region",)), "flag_missing lists 'region', which is a category"),
        (FeaturePlan(flag_missing=("call",)), "flag_missing lists no number 'call'; did you mean "),
        (FeaturePlan(bins=(Binning("region", count=3),)), "bins are of numbers, and 'region' is a"),
        (FeaturePlan(bins=(Binning("charg", count=3),)), "there is no column 'charg' to bin; did "),
        (
            FeaturePlan(leave_out=("reigon",)),
            "leave_out lists 'reigon', which is not a column; did ",
        ),
        (log_of("charg"), "the derived column 'x' is of 'charg', and there is no such column; did"),
        (log_of("region"), "the derived column 'x' is of 'region', which is one-hot encoded; name"),
        (log_of("contract=moth"), "the derived column 'x' is of 'contract=moth', and there is no"),
        (log_of("contract=life"), "the derived column 'x' is of 'contract=life', which training "),
        (log_of("region=z"), "the derived column 'x' is of 'region=z', which training lacks; did"),
        (
            FeaturePlan(derived=(Derived("calls", "log", ("charge",)),)),
            "the derived column 'calls' has the name of a field; rename it",
        ),
        (
            FeaturePlan(derived=(Derived("charge_missing", "log", ("charge",)),)),
            "2 columns would be named 'charge_missing'; rename a field or a column",
        ),
        (
            FeaturePlan(bins=(Binning("calls", count=2, encode="ordinal"),) * 2),
            "2 columns would be named 'calls_bin'; rename",
        ),
    ],
)
def test_a_plan_that_does_not_suit_the_table_is_refused(plan: FeaturePlan, message: str) -> None:
    with pytest.raises(TrimaranError, match=f"^{re.escape(message)}"):
        fitted(plan)
