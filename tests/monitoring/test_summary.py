"""Samples become lines, verdicts and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from monitoring.present import broken_words, shown, sparkline, summary_json
from monitoring.prometheus_api import Sample
from monitoring.summary import Broken, Summary, summarise
from trimaran.system.durations import seconds_of
from trimaran.system.errors import UsageError


def of(model: str, value: float, version: str = "1", **labels: str) -> Sample:
    return Sample({"model": model, "version": version, **labels}, value)


def summary(
    answers: Mapping[str, Sequence[Sample]], at_s: float = 100.0, local_s: float = 100.0
) -> Summary:
    always = {
        "scrapes": [Sample({"job": "triton"}, 1.0), Sample({"job": "supervisor"}, 1.0)],
        "mean_objective": [Sample({"model": "other"}, 1.0)],
    }
    return summarise({**always, **answers}, "5m", at_s, local_s)


def test_versions_have_a_line_each_in_the_order_of_their_numbers() -> None:
    found = summary(
        {
            "request_rate": [of("b", 1.0), of("a", 2.0, "10"), of("a", 0.0, "9")],
            "mean_latency": [of("a", 0.5, "10")],
            "errors_by_reason": [of("a", 0.1, "10", reason="BACKEND")],
        }
    )
    assert [(line.model, line.version) for line in found.lines] == [
        ("a", "9"),
        ("a", "10"),
        ("b", "1"),
    ]
    assert [line.was_asked for line in found.lines] == [False, True, True]
    assert found.lines[1].figures == {"request_rate": 2.0, "mean_latency": 0.5}
    assert found.lines[1].errors == {"BACKEND": 0.1}
    assert found.notes == []
    assert [line.is_idle for line in found.lines] == [True, False, False]
    (tried,) = summary({"load_time": [of("a_canary", 0.1)]}).lines
    assert not tried.is_idle


def test_an_objective_is_checked_by_model() -> None:
    objectives = {
        "availability_objective": [Sample({"model": "a"}, 0.99), Sample({"model": "b"}, 0.9)],
        "mean_objective": [Sample({"model": "a"}, 0.1)],
    }
    errors = [of("a", 0.05), of("b", 0.05)]
    found = summary({"error_ratio": errors, "mean_latency": [of("a", 0.2)], **objectives})
    assert found.lines[0].broken == [
        Broken("error_ratio", 0.05, pytest.approx(0.01)),
        Broken("mean_latency", 0.2, 0.1),
    ]
    assert found.lines[1].broken == []
    assert found.outcome == "broken"
    words = broken_words(found.lines[0].broken).replace("\N{NO-BREAK SPACE}", " ")
    assert words == "errors 5.00% > 1.00%; mean 200 ms > 100 ms"
    assert '"outcome": "broken"' in summary_json(found)


def test_an_objective_without_requests_is_met() -> None:
    idle = {"p99_objective": [Sample({"model": "a"}, 0.5)], "request_rate": [of("a", 0.0)]}
    assert summary(idle).outcome == "kept"


def test_without_counts_of_requests_no_objective_is_kept() -> None:
    objective = {"p99_objective": [Sample({"model": "a"}, 0.5)]}
    assert summary({**objective, "load_time": [of("a", 0.1)]}).outcome == "no data"
    assert summary({}).outcome == "no data"


def test_samples_of_other_versions_of_triton_are_shown() -> None:
    bare = Sample({"model": "a"}, 2.0)
    found = summary({"request_rate": [bare], "errors_by_reason": [bare], "scrapes": [bare]})
    assert found.lines[0].errors == {"unknown": 2.0}


def test_what_spoils_the_figures_is_said() -> None:
    nothing = summarise({}, "5m", 100.0, 100.0)
    assert nothing.notes == ["Prometheus has scraped nothing in the window"]
    gaps = summary({"scrapes": [Sample({"job": "triton"}, 0.9)]})
    assert gaps.notes[0].startswith("10% of the scrapes of triton in the window failed")
    assert gaps.notes[1].startswith("no supervisor is scraped")
    unchecked = summary({"request_rate": [of("m", 1.0)], "mean_objective": []})
    (note,) = unchecked.notes
    assert note == "no objective is recorded, so none was checked; check that the rules are loaded"
    reloads = summary({"reloads": [of("m", 2.0, "3"), of("n", 0.0)]})
    assert len(reloads.notes) == 1
    assert reloads.notes[0].startswith("m version 3 was reloaded 2 times")
    skewed = summary({}, at_s=100.0, local_s=130.0)
    assert skewed.notes[0].startswith("Prometheus' clock is -30 s from this machine's")
    assert summary({}, at_s=100.0, local_s=97.0).notes == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", ""),
        (0.0123, "s", "12.3 ms"),
        (2.5, "s", "2.5 s"),
        (0.001, "ratio", "0.10%"),
        (0.0, "ratio", "0%"),
        (0.5, "ratio", "50%"),
        (3 * 2**20, "bytes", "3 MiB"),
        (12345.0, "requests/s", "12,345"),
        (0.25, "cores", "0.25 cores"),
    ],
)
def test_values_are_shown_with_their_unit(value: float | None, unit: str, text: str) -> None:
    assert shown(value, unit).replace("\N{NO-BREAK SPACE}", " ") == text


def test_a_sparkline_is_of_the_last_values_from_zero_to_the_highest() -> None:
    assert sparkline([0, 2, 4]) == "▁▅█"
    assert sparkline([9, 0, None, 1], 3) == "▁ █"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([None]) == " "


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1d", 86400), ("250ms", 0.25)],
)
def test_durations_are_those_of_prometheus(duration: str, seconds: float) -> None:
    assert seconds_of(duration, "--window") == seconds


@pytest.mark.parametrize("duration", ["", "5", "5 m", "-5m", "m", "0s", "5m3h", "1.5h"])
def test_what_is_no_duration_is_refused_with_an_example(duration: str) -> None:
    with pytest.raises(UsageError, match="expected a duration such as 30s"):
        seconds_of(duration, "--window")
