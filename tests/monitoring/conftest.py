"""A real Prometheus on a real server, for the tests that ask it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from monitoring.asking import Prometheus
from serving.ports import free_ports
from tests.running import PROJECT, TRIMARAN, Served, wait_for

INTERVAL_S = 0.5


@dataclass
class Watched:
    """A `trimaran monitor up` process on a served repository, and what it printed."""

    served: Served
    process: subprocess.Popen[str]
    prometheus: Prometheus
    lines: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.served.repository.root

    def said(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]

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

    def scraped(self) -> None:
        """Wait until Prometheus has read Triton and the supervisor after now, twice."""
        for _ in range(2):
            now_s = self.prometheus.now_s()
            for job in ("triton", "supervisor"):
                newest = f'timestamp(up{{job="{job}"}}) and up{{job="{job}"}} == 1'
                self.eventually(newest, lambda at_s, now_s=now_s: at_s > now_s, 20)  # type: ignore[misc]


@contextmanager
def watching(served: Served, *options: str) -> Iterator[Watched]:
    ports = free_ports()
    numbers = {"prometheus": ports.http, "alertmanager": ports.grpc, "webhook": ports.metrics}
    given = [f"--{name}-port={number}" for name, number in numbers.items()]
    process = subprocess.Popen(
        [
            *(*TRIMARAN, "monitor", "up", "--repository", str(served.repository.root), *given),
            *(f"--interval={INTERVAL_S}", *options),
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    watched = Watched(served, process, Prometheus(f"http://127.0.0.1:{ports.http}"))

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            watched.lines.append(line.rstrip("\n"))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        wait_for(lambda: watched.said("Prometheus is at") or process.poll() is not None, 40, "up")
        assert process.poll() is None, "\n".join(watched.lines)
        yield watched
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        reader.join()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="package")
def churn_watched(churn_served: Served) -> Iterator[Watched]:
    """Prometheus on the server of the churn models, with a scrape behind it."""
    with watching(churn_served) as watched:
        watched.scraped()
        watched.eventually("count(model:slo_request_mean:seconds)", lambda models: models >= 4, 20)
        yield watched
