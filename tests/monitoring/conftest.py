"""A real Prometheus on a real server, for the tests that ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import pytest

from monitoring.prometheus_api import Prometheus
from tests.programs import require
from tests.running import Running, Served, start_serving, wait_for
from trimaran.repository.repository import Repository
from trimaran.system.ports import free_ports

INTERVAL_S = 0.5

AnyWatch = TypeVar("AnyWatch", bound="Watch")


class Watch(Running):
    """A `trimaran monitor up` process on a repository."""

    def __init__(self, repository: Repository, *options: str) -> None:
        require("prometheus")
        require("prometheus-alertmanager")
        self.root = repository.root
        ports = free_ports()
        numbers = {"prometheus": ports.http, "alertmanager": ports.grpc, "webhook": ports.metrics}
        given = [f"--{name}-port={number}" for name, number in numbers.items()]
        super().__init__(
            *("monitor", "up", "--repository", self.root, *given),
            *(f"--interval={INTERVAL_S * 1e3:.0f}ms", *options),
        )
        self.prometheus = Prometheus(f"http://127.0.0.1:{ports.http}")

    def value(self, promql: str) -> float:
        """The only sample of a query."""
        (sample,) = self.prometheus.instant(promql)
        return sample.value

    def eventually(self, promql: str, holds: Callable[[float], bool], timeout_s: float) -> float:
        """The first value of a query that has one sample for which `holds` is true."""

        def found() -> list[float]:
            samples = self.prometheus.instant(promql)
            return [sample.value for sample in samples if len(samples) == 1 and holds(sample.value)]

        return wait_for(found, timeout_s, promql)[0]

    def scraped(self, *jobs: str, timeout_s: float = 20) -> None:
        """Wait until Prometheus has read some jobs after now, twice; by default a server's."""
        for _ in range(2):
            now_s = self.prometheus.now_s()
            for job in jobs or ("triton", "supervisor"):
                newest = f'timestamp(up{{job="{job}"}}) and up{{job="{job}"}} == 1'
                self.eventually(newest, lambda at_s, now_s=now_s: at_s > now_s, timeout_s)  # type: ignore[misc]


class Watched(Watch):
    """The same on a repository that is served."""

    def __init__(self, served: Served, *options: str) -> None:
        super().__init__(served.repository, *options)
        self.served = served


@contextmanager
def until_stopped(watch: AnyWatch) -> Iterator[AnyWatch]:
    """The process from when Prometheus answers to the end of the block."""
    try:
        watch.until_said("Prometheus is at", 40)
        yield watch
    finally:
        watch.stop()


def watching(served: Served, *options: str) -> AbstractContextManager[Watched]:
    return until_stopped(Watched(served, *options))


@contextmanager
def served_and_watched(
    repository: Repository, *options: str, interval_s: float = INTERVAL_S
) -> Iterator[Watched]:
    """A server of a repository, Prometheus on it, and a scrape behind it.

    Both end, also where Prometheus is missing or does not start. A test may replace the server.
    """
    served = start_serving(repository, *options)
    watched = None
    try:
        watched = Watched(served, f"--interval={interval_s * 1e3:.0f}ms")
        with until_stopped(watched):
            watched.scraped()
            yield watched
    finally:
        (served if watched is None else watched.served).stop()


@pytest.fixture(scope="package")
def churn_watched(churn_served: Served) -> Iterator[Watched]:
    """Prometheus on the server of the churn models, with a scrape behind it."""
    with watching(churn_served) as watched:
        watched.scraped()
        watched.eventually("count(model:slo_request_mean:seconds)", lambda models: models >= 4, 20)
        yield watched
