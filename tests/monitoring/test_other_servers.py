"""What other servers answer on Prometheus' API: no alerts, native histograms, infinities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from monitoring.prometheus_api import Prometheus
from tests.trimaran.calling import call_trimaran
from trimaran.system.errors import TrimaranError

LABELS = {"model": "m", "version": "1"}


@contextmanager
def answering(result: list[Any], alerts: tuple[int, str]) -> Iterator[str]:
    """The URL of a server with the same result for every query, and that answer about alerts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = [5.0, "5"] if "time%28%29" in self.path else result
            status, text = 200, json.dumps({"status": "success", "data": {"result": found}})
            if self.path.endswith("/alerts"):
                status, text = alerts
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    "alerts", [(404, "not found"), (400, "unsupported path"), (200, "<html>"), (200, "[]")]
)
def test_a_server_without_alerts_has_a_report(alerts: tuple[int, str], tmp_path: Path) -> None:
    idle = [{"metric": LABELS, "value": [5.0, "0"]}]
    with answering(idle, alerts) as url:
        report = call_trimaran("monitor", "report", "--prometheus", url, "--repository", tmp_path)
    assert report.status == 0, report.error
    assert "the server answers queries and has no alerts" in report.stdout


def test_what_is_no_finite_number_is_left_out() -> None:
    histogram = {"metric": LABELS, "histogram": [5.0, {"count": "1", "sum": "1"}]}
    values = [{"metric": LABELS, "value": [5.0, text]} for text in ("NaN", "+Inf", "2")]
    with answering([histogram, *values], (404, "")) as url:
        assert [sample.value for sample in Prometheus(url).instant("up")] == [2.0]


@pytest.mark.parametrize("result", [[1], [{"value": [5.0, "2"]}]])
def test_an_answer_of_another_form_is_one_sentence(result: list[Any]) -> None:
    with (
        answering(result, (404, "")) as url,
        pytest.raises(TrimaranError, match="does not answer as Prometheus does"),
    ):
        Prometheus(url).instant("up")
