"""An experiment on disk: restarts, other processes, kills at any moment, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proofs.experiments import SCENARIOS
from tests.rollout.played import begun, clock, played
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.plan import Errors, Goal, Plan
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.system.errors import TrimaranError

SEEN = Observed(
    requests=90,
    errors=1,
    units=80,
    latencies={40: 60, 41: 30},
    answers={"stay": 80},
    inputs={"plan": {"a": 50, "b": 30}},
)
PLAN = Plan(
    steps=(0.05, 0.5),
    errors=Errors(most=0.1),
    goals=(Goal("accuracy"), Goal("amount", binary=False, low=-10, high=90)),
    answers=0.1,
    longest_s=3600.0,
)


def opened(root: Path, now: Callable[[], datetime] | None = None) -> Experiment:
    return Experiment.open(Repository(root / "model_repository"), "churn", now or clock())


def ledger(root: Path) -> Path:
    return root / ".trimaran/model_repository/experiments/churn/1/ledger.jsonl"


def test_an_experiment_goes_on_after_a_restart(tmp_path: Path) -> None:
    experiment = begun(tmp_path, PLAN)
    experiment.observe(SEEN, SEEN)
    experiment.outcomes("live", "amount", [0, 12.5, 90])
    experiment.weigh(0.5, by="anna")
    experiment.observe(SEEN, Observed(requests=5))
    experiment.outcomes("candidate", "accuracy", [1, 0, 1], segment=1)
    again = opened(tmp_path)
    assert again.state == experiment.state
    assert again.verdict() == experiment.verdict()
    first, last = again.state.segments
    assert (first.candidate.outcomes["accuracy"].count, last.live.seen) == (3, SEEN)
    assert first.live.outcomes["amount"].value == pytest.approx((10 + 22.5 + 100) / 300)


def test_several_processes_write_to_one_experiment(tmp_path: Path) -> None:
    ours = begun(tmp_path, PLAN)
    theirs = opened(tmp_path)
    ours.observe(SEEN, SEEN)
    theirs.outcomes("candidate", "accuracy", [1, 1])
    ours.observe(SEEN, SEEN)
    theirs.refresh()
    assert ours.state == theirs.state
    assert ours.state.segment.live.seen.requests == 180
    assert ours.state.segment.candidate.outcomes["accuracy"].count == 2


def test_a_kill_in_the_middle_of_a_line_loses_that_line_only(tmp_path: Path) -> None:
    begun(tmp_path, PLAN).observe(SEEN, SEEN)
    whole = ledger(tmp_path).read_bytes()
    line = whole.splitlines(keepends=True)[-1]
    for kept in range(0, len(line), 7):
        ledger(tmp_path).write_bytes(whole[: len(whole) - len(line) + kept])
        experiment = opened(tmp_path)
        assert experiment.state.segment.live.seen == Observed()
        experiment.observe(SEEN, Observed())
        assert opened(tmp_path).state.segment.live.seen == SEEN
        torn = ledger(tmp_path).with_name("ledger.torn")
        assert not kept or torn.read_bytes().endswith(line[:kept] + b"\n")


def test_a_line_that_was_changed_is_refused(tmp_path: Path) -> None:
    experiment = begun(tmp_path, PLAN)
    experiment.observe(SEEN, SEEN)
    text = ledger(tmp_path).read_text()
    ledger(tmp_path).write_text(text.replace('"errors": 1', '"errors": 0'))
    with pytest.raises(TrimaranError, match=r"ledger.jsonl: line 2 was changed, or one before"):
        opened(tmp_path)


def test_weights_that_change_begin_the_statistics_anew_and_say_so(tmp_path: Path) -> None:
    experiment = begun(tmp_path, PLAN)
    experiment.observe(SEEN, SEEN)
    experiment.weigh(0.05, by="anna")
    experiment.weigh(0.5, by="gateway")
    experiment.weigh(0.3, by="anna")
    assert [each.planned for each in experiment.state.segments] == [True, True, False]
    assert experiment.state.segment.live.seen == Observed()
    assert "from 0.5 to 0.3, which was not planned; the statistics" in experiment.state.notes[-1]


def test_a_clock_that_was_set_back_breaks_nothing(tmp_path: Path) -> None:
    start = datetime(2026, 11, 28, 9, tzinfo=UTC)
    times = iter([start, start + timedelta(minutes=5), start, start + timedelta(minutes=1)])
    experiment = begun(tmp_path, PLAN, lambda: next(times))
    for _ in range(3):
        experiment.observe(SEEN, SEEN)
    assert experiment.state.elapsed_s == 360
    (note,) = experiment.state.notes
    assert note.startswith("The clock was set back by 300 s before line 3")


def test_an_experiment_that_ended_takes_nothing_more(tmp_path: Path) -> None:
    experiment = begun(tmp_path, PLAN)
    decision = Verdict("abort", "The candidate cannot be reached.")
    experiment.decide(decision, by="anna")
    for more in (
        lambda: experiment.observe(SEEN, SEEN),
        lambda: experiment.outcomes("live", "accuracy", [1]),
        lambda: experiment.weigh(0.3, by="anna"),
        lambda: experiment.decide(decision, by="bert"),
    ):
        with pytest.raises(TrimaranError, match=r"churn/1 ended at 2026-11-28T.* with 'abort'"):
            more()
    assert opened(tmp_path).verdict() == decision
    assert begun(tmp_path).state.name == "churn/2"


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda e: e.observe(SEEN, Observed(errors=3)), "candidate cannot be: 3 errors in 0 req"),
        (lambda e: e.observe(Observed(requests=-1), SEEN), "live cannot be: a count is not a"),
        (lambda e: e.observe(Observed(requests=True), SEEN), "a count is not a whole number"),
        (lambda e: e.outcomes("live", "sales", [1]), "no goal 'sales'; it has accuracy, amount"),
        (lambda e: e.outcomes("live", "accuracy", [0.5]), "is neither 0 nor 1"),
        (lambda e: e.outcomes("live", "amount", [91]), "an outcome is 91, outside of -10 to 90"),
        (lambda e: e.outcomes("live", "amount", [float("nan")]), "an outcome is nan, outside"),
        (lambda e: e.outcomes("live", "accuracy", [1], segment=2), "no segment 2; it has 1"),
        (lambda e: e.weigh(1.0, by="anna"), "1 is no share of the traffic"),
        (lambda e: e.decide(e.verdict(), by="anna"), "hold is no decision"),
    ],
)
def test_what_cannot_be_is_refused_and_not_recorded(
    call: Callable[[Experiment], object], problem: str, tmp_path: Path
) -> None:
    experiment = begun(tmp_path, PLAN)
    with pytest.raises(TrimaranError, match=problem):
        call(experiment)
    assert len(ledger(tmp_path).read_text().splitlines()) == 1


def test_one_experiment_of_a_model_at_a_time(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(TrimaranError, match="churn/1 goes on; decide it before churn gets"):
        begun(tmp_path)


def test_the_report_of_a_bad_release(tmp_path: Path) -> None:
    experiment = played(tmp_path, replace(SCENARIOS["failing-canary"], requests=200), (0.5,), 40)
    why = experiment.verdict().why
    shown = call_trimaran("experiment", "report", "churn", cwd=tmp_path)
    assert (shown.status, shown.stderr) == (1, "")
    assert f"abort, decided by gateway at {experiment.state.decided_at}: {why}" in shown.stdout
    page = ledger(tmp_path).with_name("report.html").read_text(encoding="utf-8")
    assert "error ratio is proven to be worse" in page
    assert page.count("<svg") == 6
    assert "<script" not in page
    found = call_trimaran("experiment", "report", "churn/1", "--json", cwd=tmp_path)
    record = json.loads(found.stdout)
    assert (record["verdict"], record["why"], found.status) == ("abort", why, 1)
    states = {each["name"]: each["state"] for each in record["checks"]}
    assert states["errors"] == "broken"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("fraud", "fraud has had no experiment in "),
        ("churn/7", "churn has no experiment '7'; it has 1"),
        ("churn/..", "churn has no experiment '..'; it has 1"),
        ("../churn", "'..' cannot name a model"),
    ],
)
def test_the_report_of_no_experiment(name: str, error: str, tmp_path: Path) -> None:
    begun(tmp_path)
    outcome = call_trimaran("experiment", "report", name, cwd=tmp_path)
    assert outcome.error.startswith(error)
    assert outcome.status in (1, 2)


def test_a_record_that_says_something_else_is_refused(tmp_path: Path) -> None:
    experiment = begun(tmp_path)
    record = experiment._record
    with record.writing() as writer:
        writer.add("anna", "look", "churn/1", {"live": {"calls": 3}})
    outcome = call_trimaran("experiment", "report", "churn", cwd=tmp_path)
    assert "line 2 is none that this version of trimaran writes" in outcome.error


def test_weights_that_cannot_be_are_told_as_they_were_typed(tmp_path: Path) -> None:
    begun(tmp_path, Plan(steps=(0.5,)))

    def weigh(percent: str) -> Outcome:
        return call_trimaran(
            "experiment", "weigh", "churn", "--by=anna", "--", percent, cwd=tmp_path
        )

    for percent in ("100", "0", "-5", "150", "nan"):
        refused = weigh(percent)
        assert refused.status == 2
        assert f"PERCENT is {percent}; name a percent above 0 and below 100" in refused.error
    assert weigh("50").stdout == (
        "churn/1: the candidate's share is 50 % already; nothing is changed\n"
    )
    assert "changed the candidate's share from 0.5 to 0.2" in weigh("20").stdout
    stopped = call_trimaran("experiment", "stop", "churn", "--why= ", "--by=anna", cwd=tmp_path)
    assert "say why in a few words" in stopped.error
