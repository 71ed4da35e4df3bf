"""A client of Prometheus' HTTP API, whose errors are one sentence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from urllib3.util.retry import Retry

from trimaran.system.errors import TrimaranError

__all__ = ["Prometheus", "Sample", "Series"]

_TIMEOUT_S = 10
_SCRAPE_S = 15.0
_POLL_S = 0.2
_MOST_WORDS = 300
"""Of a refusal, which may be a whole page."""
_NOT_ITS_FORM = (ValueError, KeyError, IndexError, TypeError, AttributeError)
"""What reading an answer of another form than that of Prometheus' API raises."""

Answer = TypeVar("Answer")


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
        """The samples of a query at a Unix time, or now.

        What is no finite number is left out: NaN, an infinity, a native histogram.
        """
        params = {} if time_s is None else {"time": f"{time_s:.3f}"}

        def samples() -> list[Sample]:
            found = self._connection.custom_query(promql, params)
            return [
                Sample(_labels(entry), float(entry["value"][1]))
                for entry in found
                if "value" in entry
            ]

        return [s for s in self._ask(samples, promql) if math.isfinite(s.value)]

    def range(self, promql: str, start_s: float, end_s: float, step_s: float) -> list[Series]:
        """The series of a query between two Unix times, without what is no finite number."""
        start, end = (datetime.fromtimestamp(at, UTC) for at in (start_s, end_s))

        def all_series() -> list[Series]:
            series = []
            for entry in self._connection.custom_query_range(promql, start, end, f"{step_s:.3f}"):
                pairs = [(float(at), float(value)) for at, value in entry.get("values", ())]
                kept = [(at, value) for at, value in pairs if math.isfinite(value)]
                if kept:
                    times, values = zip(*kept, strict=True)
                    series.append(Series(_labels(entry), times, values))
            return series

        return self._ask(all_series, promql)

    def now_s(self) -> float:
        """Its clock, in Unix time."""
        return self._ask(lambda: float(self._connection.custom_query("time()")[1]), "time()")

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

    def firing(self) -> list[str] | None:
        """The summaries of the alerts that fire, or their names.

        `None` where the server answers without alerts: Thanos and others have queries alone.
        """
        try:
            response = requests.get(f"{self.url}/api/v1/alerts", timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise self._silent(error) from error
        try:
            response.raise_for_status()
            return [
                alert.get("annotations", {}).get("summary")
                or alert["labels"].get("alertname", "an alert without a name")
                for alert in response.json()["data"]["alerts"]
                if alert["state"] == "firing"
            ]
        except (requests.RequestException, *_NOT_ITS_FORM):
            return None

    def _ask(self, question: Callable[[], Answer], promql: str) -> Answer:
        try:
            return question()
        except PrometheusApiClientException as error:
            words = str(error)[:_MOST_WORDS]
            raise TrimaranError(f"Prometheus at {self.url} refuses {promql!r}: {words}") from error
        except requests.JSONDecodeError as error:
            raise self._foreign() from error
        except requests.RequestException as error:
            raise self._silent(error) from error
        except _NOT_ITS_FORM as error:
            raise self._foreign() from error

    def _silent(self, error: Exception) -> TrimaranError:
        return TrimaranError(
            f"no Prometheus answers at {self.url} ({type(error).__name__}); start one with "
            "'trimaran monitor up', or name it with --prometheus"
        )

    def _foreign(self) -> TrimaranError:
        return TrimaranError(
            f"the server at {self.url} does not answer as Prometheus does; name one that does "
            "with --prometheus"
        )


def _labels(entry: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in entry["metric"].items() if name != "__name__"}
