"""What `trimaran locust` decides, without Locust and without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.generator.outcome import Outcome
from loadtests.locusts.calls import Call, in_turn, read_calls, save_calls
from loadtests.locusts.choice import Choice
from loadtests.locusts.load_report import pace_of, why_invalid
from loadtests.locusts.record import (
    Found,
    Record,
    Recorder,
    Streak,
    outcome_of,
    read_found,
    read_records,
)
from loadtests.locusts.settings import CURVES, Settings, soak, spike, step
from tests.envoy import TOKEN
from trimaran.cli.address import TOKEN_VARIABLE
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import UsageError


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@given(users=st.integers(2, 10_000), seconds=st.integers(5, 100_000), share=st.floats(0, 1))
def test_a_shape_stays_between_one_user_and_all(
    curve: Callable[[int, float, float], int], users: int, seconds: int, share: float
) -> None:
    assert 1 <= curve(users, seconds, share * seconds) <= users
    assert max(curve(users, seconds, seconds * part / 100) for part in range(100)) == users


def test_a_step_goes_up_in_five_equal_stairs() -> None:
    assert [step(10, 50, at) for at in (0, 9.9, 10, 25, 35, 49.9)] == [2, 2, 4, 6, 8, 10]
    assert [step(2, 10, at) for at in (0, 4.9, 5)] == [1, 1, 2]


def test_a_spike_is_sudden_and_over_again() -> None:
    assert [spike(20, 10, at) for at in (0, 3.9, 4, 5.9, 6, 9.9)] == [4, 4, 20, 20, 4, 4]


def test_a_soak_holds_all_users_between_two_ramps() -> None:
    assert [soak(20, 100, at) for at in (0, 5, 10, 50, 90, 95, 99.9)] == [1, 10, 20, 20, 20, 10, 1]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"users": 0}, "--users is 0"),
        ({"seconds": 0.5}, "--duration is 0.5 s; give whole seconds"),
        ({"seconds": 1.5}, "--duration is 1.5 s; give whole seconds"),
        ({"processes": 0}, "--processes is 0"),
        ({"processes": 9}, "no more than --users"),
        ({"protocol": "smoke"}, "choose http, json or grpc"),
        ({"rate": float("nan")}, "--rate is nan"),
        ({"rate": 0.0}, "--rate is 0"),
        ({"spawn_rate": -1.0}, "--spawn-rate is -1"),
        ({"seed": -1}, "--seed is -1"),
        ({"shape": "wave"}, "choose step, spike or soak"),
        ({"shape": "step", "spawn_rate": 1.0}, "exclude each other"),
        ({"shape": "step", "seconds": 4}, "at least 2 users and 5 s"),
        ({"shape": "step", "users": 1}, "at least 2 users and 5 s"),
    ],
)
def test_settings_that_make_no_run_are_refused(wrong: dict[str, object], words: str) -> None:
    usable = {"model": "m", "protocol": "http", "users": 8, "seconds": 30}
    with pytest.raises(UsageError, match=words):
        Settings(**{**usable, **wrong})  # type: ignore[arg-type]


def test_users_come_in_portions_each_second() -> None:
    assert Settings("m", "http", users=10, seconds=30).ramp_s == 0
    assert Settings("m", "http", users=10, seconds=30, spawn_rate=4).ramp_s == 2


@pytest.mark.parametrize(
    "host", [None, "", "127.0.0.1:8000", "https://x/v2", "http://x:y", "http://x/v2"]
)
def test_a_host_that_is_no_address_is_refused(host: str | None) -> None:
    with pytest.raises(UsageError, match=r"https?://HOST:PORT"):
        Choice.of(None, host)


def test_a_host_may_end_in_a_slash_and_leave_the_port_out() -> None:
    assert Choice.of(None, "http://here/").endpoint == Endpoint("here:8000", "here:8001")


def test_a_host_with_tls_has_one_port_and_a_token_stays_on_this_machine_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    hosts = ("https://here:8443", "http://here:80", "http://127.0.0.1:80")
    secure, plain, local = (Choice.of(None, host).endpoint for host in hosts)
    assert (secure.grpc, secure.token) == ("here:8443", TOKEN)
    assert (plain.token, local.token) == ("", TOKEN)


def test_prepared_requests_come_back_from_their_file(tmp_path: Path) -> None:
    calls = [Call("a", "http", b"\0\xff", "/x", {"k": "v"}), Call("b", "grpc", b"", "/y")]
    save_calls(tmp_path / "calls", calls)
    assert read_calls(tmp_path / "calls") == calls


def test_models_take_turns() -> None:
    calls = {name: [Call(name, "http", bytes([n]), "/x") for n in range(3)] for name in "ab"}
    taken = in_turn([calls["a"], calls["b"][:1]])
    assert [(call.model, call.body[0]) for call in taken] == [
        ("a", 0), ("b", 0), ("a", 1), ("b", 0), ("a", 2), ("b", 0),
    ]  # fmt: skip


def test_times_of_several_processes_are_joined_exactly(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for began_s, latency_s, good in ((5.0, 0.00123456, True), (3.0, 0.2, False)):
        recorder.add(began_s, latency_s, good)
        recorder.flush()
    recorder.close()
    other = np.array([4.0, 0.1, 1.0]).tobytes()
    (tmp_path / "1.requests").write_bytes(other + b"a killed process's half")
    record = read_records(tmp_path)
    assert record.began_s.tolist() == [3.0, 4.0, 5.0]
    assert record.latency_s.tolist() == [0.2, 0.1, 0.00123456]
    assert record.good.tolist() == [False, True, True]


def test_facts_of_all_processes_are_joined_and_half_written_ones_left_out(tmp_path: Path) -> None:
    leader = {
        "cpu_s": 1.0,
        "refusal": "",
        "gave_up": "",
        "users_s": None,
        "locust": {"p50": 2, "requests": 7},
    }
    worker = {"cpu_s": 2.5, "refusal": "no", "gave_up": "", "users_s": [5.0, 9.0], "locust": None}
    (tmp_path / "1.facts.json").write_text(json.dumps(leader))
    (tmp_path / "2.facts.json").write_text(json.dumps(worker))
    (tmp_path / "3.facts.json").write_text('{"cpu_s": 1')
    found = read_found(tmp_path)
    assert (found.cpu_s, found.refusal, found.locust_ms) == (3.5, "no", {"p50": 2.0})
    assert (found.locust_requests, found.users_s) == (7, (5.0, 9.0))
    assert len(found.record.good) == 0


def test_only_failures_for_long_enough_end_a_run() -> None:
    streak = Streak(began_s=0.0, patience_s=2.0)
    assert not any(streak.add(at / 10, False) for at in range(20))
    assert not streak.add(2.0, True)
    assert not any(streak.add(4.5, False) for _ in range(9))
    assert streak.add(4.5, False)


def _outcome(latency_s: np.ndarray, good: np.ndarray | None = None) -> Outcome:
    """Requests a hundredth of a second apart."""
    began_s = 100 + np.arange(len(latency_s)) * 0.01
    all_good = np.ones(len(latency_s), dtype=bool)
    return outcome_of(Found(Record(began_s, latency_s, all_good if good is None else good)), False)


def test_an_outcome_starts_with_its_first_request() -> None:
    outcome = _outcome(np.array([0.5, 0.001]), np.array([True, False]))
    assert outcome.sent_s.tolist() == pytest.approx([0, 0.01])
    assert outcome.latency_s[0] == pytest.approx(0.5)
    assert outcome.latency_s[1] == np.inf
    assert outcome.wall_s == pytest.approx(0.5)


def test_failures_make_a_run_void_unless_a_promise_judges_them() -> None:
    good = np.arange(100) >= 5
    outcome = _outcome(np.full(100, 0.001), good)
    assert "5 of 100 requests failed" in why_invalid(outcome)
    assert why_invalid(outcome, failures_are_gated=True) == ""
    none = _outcome(np.full(100, 0.001), np.zeros(100, dtype=bool))
    assert "100 of 100" in why_invalid(none, failures_are_gated=True)


def test_a_server_that_is_gone_makes_a_run_void_whatever_was_promised() -> None:
    outcome = _outcome(np.full(10, 0.001))
    assert "no longer answers" in why_invalid(outcome, alive=False, failures_are_gated=True)
    assert "stopped after" in why_invalid(outcome, gave_up="nothing but failures")


def test_a_rate_that_was_not_kept_makes_a_run_void() -> None:
    outcome = _outcome(np.full(1000, 0.001))  # 100 requests/s for 10 s
    kept = pace_of(outcome, 100, 4, 0, 10)
    missed = pace_of(outcome, 200, 4, 0, 10)
    assert why_invalid(outcome, pace=kept) == ""
    assert "only 100.1 of the 200.0 requests/s" in why_invalid(outcome, pace=missed)
    assert pace_of(outcome, 200, 4, 9.5, 10) is None
