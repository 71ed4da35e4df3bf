"""The supervisor's own metrics for Prometheus, which Triton does not have.

| metric | what |
|---|---|
| `trimaran_model_ready{model}` | 1 if a version is ready; 0 for a selected model otherwise |
| `trimaran_stub_deaths_total{model}` | stubs that died unexpectedly |
| `trimaran_stub_hangs_total{model}` | instances that hung; their process was killed |
| `trimaran_model_heals_total{model}` | reloads after which such a model answered again |
| `trimaran_model_heal_failures_total{model}` | reloads that failed, and are tried again |
| `trimaran_server_restarts_total` | starts of a tritonserver after one that ended by itself, or
  kept too much of dead stubs |
| `trimaran_model_load_seconds{model,version}` | how long the last load took |
| `trimaran_cpu_seconds_total{model,version,instance_name}` | of an instance: its stub, or its
  threads in tritonserver; with `model=""` of the rest of tritonserver |
| `trimaran_resident_bytes{model,version,instance_name}` | likewise |

Triton 2.51 has no metric for the load time, but it logs two lines with their times:

    I1122 18:53:09.242875 15855 model_lifecycle.cc:472] "loading: churn_features:1"
    I1122 18:53:10.217180 15855 model_lifecycle.cc:839] "successfully loaded 'churn_features'"
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from trimaran.serving.control import Control
from trimaran.serving.native.instances import native_instances
from trimaran.serving.readiness import Readiness
from trimaran.serving.stub_processes import identify_stub
from trimaran.system.errors import TrimaranError
from trimaran.system.http_server import Reply, Request, serving
from trimaran.system.ports import Ports
from trimaran.system.processes import children, own_cpu_s, resident_bytes

__all__ = ["LoadTimes", "Metrics", "follow", "serve_metrics"]

_Labels = tuple[str, str, str]
_LABELS = ("model", "version", "instance_name")
_SERVER: _Labels = ("", "", "")
_LINE = re.compile(
    r"I\d{4} (\d\d):(\d\d):(\d\d\.\d+) .*\"(?:loading: (.+):(\d+)|successfully loaded '(.+)')\""
)
_DAY_S = 86400.0
_LONGEST_LINE = 2**16


class Metrics:
    """The supervisor's counters, and gauges that are read at each scrape."""

    def __init__(
        self, promised: Iterable[str], control: Control, server_pid: int, log: Path
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._ready = _Ready(promised, control, self._know)
        self.registry.register(self._ready)
        self._deaths = self._counter("stub_deaths", "Stubs that died unexpectedly.")
        self._hangs = self._counter("stub_hangs", "Instances that hung; their process was killed.")
        self._heals = self._counter("model_heals", "Reloads after which a model answered again.")
        self._failures = self._counter("model_heal_failures", "Reloads that failed.")
        self._restarts = Counter(
            "trimaran_server_restarts",
            "Starts of a tritonserver after one that ended by itself, or kept too much.",
            registry=self.registry,
        )
        self.registry.register(_Loads(log))
        self._usage = _Usage(server_pid)
        self.registry.register(self._usage)

    def stub_died(self, model: str) -> None:
        """Count the death of a model's stub."""
        self._deaths.labels(model).inc()

    def hung(self, model: str) -> None:
        """Count that an instance of a model hung."""
        self._hangs.labels(model).inc()

    def healed(self, model: str) -> None:
        """Count that a model answers again."""
        self._heals.labels(model).inc()

    def heal_failed(self, model: str) -> None:
        """Count that a model could not be reloaded."""
        self._failures.labels(model).inc()

    def server_restarted(self, server_pid: int, control: Control) -> None:
        """Count that another tritonserver took the place of one that ended."""
        self._restarts.inc()
        self._ready.control = control
        self._usage.begin(server_pid)

    def _know(self, model: str) -> None:
        """Start its counters at 0: Prometheus sees no increase in a counter that appears."""
        for counter in (self._deaths, self._hangs, self._heals, self._failures):
            counter.labels(model)

    def _counter(self, name: str, words: str) -> Counter:
        return Counter(f"trimaran_{name}", words, ["model"], registry=self.registry)


@contextmanager
def serve_metrics(metrics: Metrics, ports: Ports, readiness: Readiness) -> Iterator[None]:
    """Answer scrapes during the block, and what balancers ask."""

    def answer(request: Request) -> Reply:
        if request.method != "GET":
            return Reply(HTTPStatus.METHOD_NOT_ALLOWED)
        if request.path == "/ready":
            return readiness.reply()
        if request.path == "/ready/models":
            return readiness.models()
        encode, content_type = choose_encoder(request.accept)
        return Reply(body=encode(metrics.registry), content_type=content_type)

    with serving(ports.host, ports.supervisor, answer):
        yield


class LoadTimes:
    """The last load of each model and version, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, int], float] = {}
        self._began: dict[tuple[str, int], float] = {}

    def read(self, lines: Iterable[str]) -> None:
        """Read more lines of the log."""
        for line in lines:
            found = _LINE.match(line)
            if not found:
                continue
            hours, minutes, seconds, model, version, loaded = found.groups()
            at_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            if model:
                self._began[model, int(version)] = at_s
                continue
            # The line names no version: it is for all versions that began to load.
            for key in [key for key in self._began if key[0] == loaded]:
                self.seconds[key] = (at_s - self._began.pop(key)) % _DAY_S


def follow(log: Path, offset: int) -> tuple[list[str], int]:
    """The complete lines of a log from an offset in bytes on, and the offset after them.

    A log that is shorter than the offset was begun again, and is read from its start.
    """
    try:
        with log.open("rb") as file:
            if file.seek(0, os.SEEK_END) < offset:
                offset = 0
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    complete = data.rpartition(b"\n")[0]
    if not complete:  # a line without end is not read again and again
        return [], offset + (len(data) if len(data) > _LONGEST_LINE else 0)
    return complete.decode(errors="replace").split("\n"), offset + len(complete) + 1


class _Ready(Collector):
    """Which models are ready. If the server does not answer, no model is."""

    def __init__(
        self, promised: Iterable[str], control: Control, know: Callable[[str], None]
    ) -> None:
        self._promised = set(promised)
        self.control = control
        self._know = know

    def describe(self) -> list[Metric]:
        """Nothing: this is called at registration, when no model is known yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        found = GaugeMetricFamily(
            "trimaran_model_ready", "Whether some version of a model is ready.", labels=["model"]
        )
        try:
            ready = {state.name for state in self.control.index() if state.state == "READY"}
        except TrimaranError:
            ready = set()
        for model in sorted(self._promised | ready):
            self._know(model)
            found.add_metric([model], float(model in ready))
        yield found


class _Loads(Collector):
    """Load times of versions."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self._times = LoadTimes()
        self._lock = Lock()

    def collect(self) -> Iterator[Metric]:
        found = GaugeMetricFamily(
            "trimaran_model_load_seconds",
            "How long the last load of a version took.",
            labels=["model", "version"],
        )
        with self._lock:  # two scrapes may come at once
            lines, self._offset = follow(self._log, self._offset)
            self._times.read(lines)
            for (model, version), seconds in sorted(self._times.seconds.items()):
                found.add_metric([model, str(version)], seconds)
        yield found


class _Usage(Collector):
    """CPU time and memory of the instances of models, and of the rest of tritonserver."""

    def __init__(self, server_pid: int) -> None:
        self._lock = Lock()
        self.begin(server_pid)

    def begin(self, server_pid: int) -> None:
        """Read those of this tritonserver from now on."""
        with self._lock:
            self._server_pid = server_pid
            self._rest_cpu_s = 0.0
            self._native: dict[_Labels, float] = {}
            self._ended_cpu_s = 0.0

    def collect(self) -> Iterator[Metric]:
        cpu = CounterMetricFamily(
            "trimaran_cpu_seconds",
            "CPU time of instances, and of the rest of tritonserver (no model).",
            labels=_LABELS,
        )
        memory = GaugeMetricFamily(
            "trimaran_resident_bytes",
            "Resident memory of instances, and of the rest of tritonserver (no model).",
            labels=_LABELS,
        )
        with self._lock:  # two scrapes may come at once
            for labels, (cpu_s, resident) in {**self._own(), **self._stubs()}.items():
                cpu.add_metric(labels, cpu_s)
                memory.add_metric(labels, resident)
        yield cpu
        yield memory

    def _own(self) -> dict[_Labels, tuple[float, int]]:
        """Of tritonserver's own process, of which native instances are a part."""
        found = {
            (each.model, str(each.version), each.name): (each.cpu_s(), each.memory_bytes)
            for each in native_instances(self._server_pid)
        }
        self._ended_cpu_s += sum(self._native[gone] for gone in self._native.keys() - found)
        self._native = {labels: cpu_s for labels, (cpu_s, _) in found.items()}
        rest_s = own_cpu_s(self._server_pid) - sum(self._native.values()) - self._ended_cpu_s
        # Prometheus takes a counter that falls for one that began anew. The clocks of a process and
        # of its threads differ by a little.
        self._rest_cpu_s = max(self._rest_cpu_s, rest_s)
        rest = resident_bytes(self._server_pid) - sum(memory for _, memory in found.values())
        return {_SERVER: (self._rest_cpu_s, max(0, rest)), **found}

    def _stubs(self) -> dict[_Labels, tuple[float, int]]:
        newest: dict[_Labels, int] = {}
        for pid in sorted(children(self._server_pid)):
            stub = identify_stub(pid)
            if stub is not None:  # of two with one name, the older is about to end
                newest[stub.model, str(stub.version), stub.instance] = pid
        return {labels: (own_cpu_s(pid), resident_bytes(pid)) for labels, pid in newest.items()}
