"""A client of Prometheus' HTTP API, whose errors are one sentence."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from urllib3.util.retry import Retry

from trimaran.system.errors import TrimaranError

__all__ = ["Prometheus", "Sample", "Series"]

_TIMEOUT_S = 10
_SCRAPE_S = 15.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Sample:
    """One value of an instant query."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Series:
    """The values of a range query, `times_s` in Unix time; a gap has no entry."""

    labels: Mapping[str, str]
    times_s: Sequence[float]
    values: Sequence[float]


class Prometheus:
    """The server at a URL. Every method raises `TrimaranError` if it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._connection = PrometheusConnect(self.url, retry=Retry(0), timeout=_TIMEOUT_S)

    def instant(self, promql: str, time_s: float | None = None) -> list[Sample]:
        """The samples of a query at a Unix time, or now; NaN is left out."""
        params = {} if time_s is None else {"time": f"{time_s:.3f}"}
        found = self._ask(lambda: self._connection.custom_query(promql, params), promql)
        samples = [Sample(_labels(entry), float(entry["value"][1])) for entry in found]
        return [sample for sample in samples if not math.isnan(sample.value)]

    def range(self, promql: str, start_s: float, end_s: float, step_s: float) -> list[Series]:
        """The series of a query between two Unix times; NaN is left out."""
        start, end = (datetime.fromtimestamp(at, UTC) for at in (start_s, end_s))
        found = self._ask(
            lambda: self._connection.custom_query_range(promql, start, end, f"{step_s:.3f}"), promql
        )
        series = []
        for entry in found:
            pairs = [(float(at), float(value)) for at, value in entry["values"]]
            kept = [(at, value) for at, value in pairs if not math.isnan(value)]
            if kept:
                times, values = zip(*kept, strict=True)
                series.append(Series(_labels(entry), times, values))
        return series

    def now_s(self) -> float:
        """Its clock, in Unix time."""
        found = self._ask(lambda: self._connection.custom_query("time()"), "time()")
        return float(found[1])

    def wait_for_scrape(self, after_s: float) -> None:
        """Wait until it has scraped Triton after a Unix time. Raises `TrimaranError` after 15 s."""
        deadline = time.monotonic() + _SCRAPE_S
        while not self.instant(f'timestamp(up{{job="triton"}}) > {after_s:.3f}'):
            if time.monotonic() > deadline:
                raise TrimaranError(
                    f"Prometheus at {self.url} did not scrape Triton within {_SCRAPE_S:.0f} s; "
                    "check its targets, and that 'trimaran serve' runs"
                )
            time.sleep(_POLL_S)

    def alerts(self) -> list[dict[str, Any]]:
        """The pending and firing alerts, as its API returns them."""
        try:
            response = requests.get(f"{self.url}/api/v1/alerts", timeout=_TIMEOUT_S)
            response.raise_for_status()
            found: list[dict[str, Any]] = response.json()["data"]["alerts"]
        except (requests.RequestException, ValueError, KeyError) as error:
            raise self._silent(error) from error
        return found

    def _ask(self, question: Any, promql: str) -> Any:
        try:
            return question()
        except PrometheusApiClientException as error:
            raise TrimaranError(f"Prometheus at {self.url} refuses {promql!r}: {error}") from error
        except (requests.RequestException, ValueError, KeyError) as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> TrimaranError:
        return TrimaranError(
            f"no Prometheus answers at {self.url} ({type(error).__name__}); start one with "
            "'trimaran monitor up', or name it with --prometheus"
        )


def _labels(entry: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in entry["metric"].items() if name != "__name__"}
