"""The live view in terminals of any width."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from monitoring.commands.watch import view
from monitoring.gateway import GatewayFigures, gateway_of
from monitoring.prometheus_api import Sample, Series
from monitoring.summary import Broken, Line, Summary

FIGURES = {
    "request_rate": 12345.0,
    "mean_latency": 0.0123,
    "error_ratio": 0.0123,
    "p99_latency": 0.245,
    "queue_share": 0.5,
    "batch_size": 7.25,
    "model_cpu": 1.25,
}
NAMES = ("efficientnet_lite0_torchscript", "churn")


def seen(width: int, *lines: Line, gateway: GatewayFigures | None = None) -> str:
    times = [10.0 * at for at in range(24)]
    labels = {"model": NAMES[0], "version": "12"}
    course = [Series(labels, times, [1.0, 4.0] * 12)]
    courses = {"request_rate": course, "mean_latency": course}
    file = io.StringIO()
    summary = Summary(230.0, "1m", lines, {}, [], [], gateway)
    Console(width=width, file=file).print(view(summary, courses, 240.0, width))
    return file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("width", "figures"),
    [
        (60, ("12,345", "12.3 ms", "1.23%")),
        (80, ("12,345", "12.3 ms", "1.23%")),
        (100, ("12,345", "12.3 ms", "1.23%", "245 ms")),
        (120, ("12,345", "12.3 ms", "1.23%", "245 ms", "▃█" * 10)),
        (180, ("12,345", "12.3 ms", "1.23%", "245 ms", "▃█" * 10, "50%", "7.25", "1.25 cores")),
    ],
)
def test_the_figures_that_are_shown_are_whole(width: int, figures: tuple[str, ...]) -> None:
    broken = [Broken("error_ratio", 0.0123, 0.001)]
    lines = [Line(NAMES[0], "12", FIGURES, broken=broken), Line(NAMES[1], "1", FIGURES)]
    text = seen(width, *lines)
    for name in NAMES if width > 60 else NAMES[1:]:
        (row,) = re.findall(rf"^ *{name} +\d+ .*$", text, re.M)
        for figure in figures:
            assert figure in row or ("█" in figure and name == "churn"), (figure, row)
    assert "…" not in text
    assert "errors 1.23% > 0.10%" in " ".join(text.split())


def test_a_dead_server_is_said_first() -> None:
    assert seen(80).startswith("no data: Prometheus has no request counts")


def test_the_gateway_is_one_line() -> None:
    def by(label: str, **values: float) -> list[Sample]:
        return [Sample({"model": NAMES[1], label: name}, value) for name, value in values.items()]

    answers = {
        "gateway_requests": [*by("answer", **{"2xx": 8.0, "4xx": 2.0}), Sample({}, 2.5)],
        "gateway_refusals": [
            *by("reason", rate=0.5, token=1.5, form=0.0),
            Sample({"reason": "token"}, 0.5),
        ],
        "gateway_server_ready": [Sample({"server": "a"}, 1.0), Sample({"server": "b"}, 0.0)],
    }
    assert gateway_of({}) is None
    text = " ".join(seen(180, gateway=gateway_of(answers)).split())
    line = "gateway: 12.5 requests/s, refused/s: token 2, rate 0.5; 1 of 2 servers ready"
    assert line in text
    assert "gateway" not in seen(180)
