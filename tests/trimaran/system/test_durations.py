from __future__ import annotations

import pytest

from trimaran.system.durations import seconds_of
from trimaran.system.errors import UsageError


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("2d", 172_800),
        ("1h30m", 5400),
        ("1h0m1s", 3601),
        ("250ms", 0.25),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_a_duration_has_a_unit(duration: str, seconds: float, bare: bool) -> None:
    assert seconds_of(duration, "--window", bare=bare) == seconds


@pytest.mark.parametrize(("duration", "seconds"), [("90", 90), ("0.5", 0.5)])
def test_a_number_is_seconds_only_where_an_option_takes_it(duration: str, seconds: float) -> None:
    assert seconds_of(duration, "--duration", bare=True) == seconds
    with pytest.raises(UsageError, match=f"--window is '{duration}'; expected a duration"):
        seconds_of(duration, "--window")


@pytest.mark.parametrize(
    "duration",
    ["", "0", "0s", "-3", "1.5s", "5x", "s", "5 m", "5s1m", "1e3", "nan", "٣", "9" * 400 + "s"],
)
@pytest.mark.parametrize("bare", [False, True])
def test_anything_else_is_refused_with_an_example(duration: str, bare: bool) -> None:
    with pytest.raises(UsageError, match=r"--window is .*; expected a duration such as 30s"):
        seconds_of(duration, "--window", bare=bare)
