"""What an experiment is planned by: plan.toml, a goal on the command line, what live has shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trimaran.gateway.metrics import metrics_text
from trimaran.rollout.experiments.plan import Errors, Goal, Latency, Plan
from trimaran.rollout.traffic.history import bound_of, counts_of
from trimaran.rollout.traffic.plan_file import parse_goal, parse_plan, read_plan
from trimaran.system.errors import TrimaranError, UsageError

BASE = Plan(steps=(0.5,), errors=Errors(most=0.01), goals=(Goal("accuracy"),))
FILE = """
steps = [0.05, 0.25]
answers = 0.1
inputs = false
latency = false
most_requests = 1000

[errors]
margin = 0.002

[[goals]]
name = "accuracy"
margin = 0.03

[[goals]]
name = "sales"
low = -5
high = 200
gain = 1
"""


def test_a_plan_file_says_what_options_do_not() -> None:
    assert parse_plan("", BASE) == BASE
    assert parse_plan(FILE, BASE) == Plan(
        steps=(0.05, 0.25),
        errors=Errors(margin=0.002, most=0.01),
        latency=None,
        goals=(
            Goal("accuracy", 0.03),
            Goal("sales", 0.02 * 205, 1.0, binary=False, low=-5.0, high=200.0),
        ),
        answers=0.1,
        inputs=False,
        most_requests=1000,
    )
    without = replace(BASE, latency=None)
    assert parse_plan("[latency]\nmost_s = 2", without).latency == Latency(most_s=2.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("goal = 1", "there is no key 'goal'; did you mean 'goals'"),
        ("agreement = 0.9", "there is no key 'agreement'"),
        ("[errors]\nmargin = '1'", r"\[errors\]: margin is '1'; expected a number"),
        ("[errors]\nmargins = 1", r"\[errors\]: there is no key 'margins'"),
        ("errors = 3", r"errors is 3; expected a table \[errors\], or false"),
        ("[[goals]]\nmargin = 1", r"\[\[goals\]\]: name is missing"),
        ("goals = [3]", "goals holds 3"),
        ("steps = [true]", r"steps is \[True\]; expected shares"),
        ("steps = [2]", "divides the traffic by"),
        ("inputs = 1", "inputs is 1; expected true or false"),
        ("most_requests = 1.5", "most_requests is 1.5; expected a whole number"),
        ("[[goals]]\nname = 'sales'\nlow = 3\nhigh = 2", "bounds 'sales' by 3 and 2"),
        ("answers = nan", "not finite"),
        ("[", "not TOML"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(TrimaranError, match=words):
        parse_plan(text, BASE)
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(UsageError, match=r"plan\.toml: "):
        read_plan(tmp_path / "plan.toml", BASE)


@pytest.mark.parametrize(
    ("text", "margin", "goal"),
    [
        ("accuracy", None, Goal("accuracy", 0.02)),
        ("accuracy", 3.0, Goal("accuracy", 0.03)),
        ("brier", 1.0, Goal("brier", 0.01, higher_is_better=False, binary=False)),
        ("sales:0:200", None, Goal("sales", 4.0, binary=False, low=0.0, high=200.0)),
        ("sales:0:200", 5.0, Goal("sales", 5.0, binary=False, low=0.0, high=200.0)),
        (
            "error:0:50",
            5.0,
            Goal("error", 5.0, higher_is_better=False, binary=False, low=0.0, high=50.0),
        ),
    ],
)
def test_a_goal_on_the_command_line(text: str, margin: float | None, goal: Goal) -> None:
    assert parse_goal(text, margin) == goal


@pytest.mark.parametrize("text", ["sales:0", "sales:a:b", "sales:0:nan", "sales:0:1:2"])
def test_a_goal_without_bounds_that_are_some_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="name one, as accuracy, or with its bounds"):
        parse_goal(text, None)


@pytest.mark.parametrize(
    ("requests", "errors", "bound", "words"),
    [
        (0, 0, None, "has counted 0 requests of the live release, and it takes 1,000"),
        (999, 0, None, "name one with --most-errors"),
        (1_000, 0, 0.0115, "0 errors in 1,000 requests"),
        (10_000, 0, 0.01, "the bound is the least that is taken"),
        (10_000, 100, 0.0364, "at most 1.21 %"),
        (10_000, 100, 0.0364, "the bound is 3 times that"),
        (1_000, 400, None, "no error bound: the live release has 400 errors"),
    ],
)
def test_a_bound_from_what_live_has_shown(
    requests: int, errors: int, bound: float | None, words: str
) -> None:
    found, why = bound_of(requests, errors)
    assert found == (None if bound is None else pytest.approx(bound, abs=5e-5))
    assert words in why


def test_what_live_has_shown_is_what_its_server_answered() -> None:
    counted = (
        'envoy_trimaran_gateway_requests{model="%s",kind="%s",status="%s",grpc_status="%s",'
        'why="%s"} %d\n'
    )
    ends = [
        ("churn", "predict", 200, "", "via_upstream", 90),
        ("churn", "infer", 500, "", "via_upstream", 3),
        ("churn", "call", 200, "0", "via_upstream", 50),
        ("churn", "call", 200, "13", "via_upstream", 2),
        ("churn", "predict", 0, "", "downstream_remote_disconnect", 1),
        ("churn", "predict", 503, "", "upstream_reset_before_response_started{overflow}", 7),
        ("churn", "predict", 429, "", "request_rate_limited", 20),
        ("churn", "predict", 403, "", "rbac_access_denied_matched_policy[none]", 9),
        ("fraud", "predict", 500, "", "via_upstream", 40),
        ("churn", "admin", 500, "", "via_upstream", 40),
    ]
    text = metrics_text("".join(counted % end for end in ends), {})
    assert counts_of(text, "churn") == (146, 6)
