"""Heals a model whose Python stub died or hangs, which Triton does not notice.

Triton goes on reporting such a model as ready, and skips a `load` of it because nothing has
changed. So it is loaded with a configuration that differs in a meaningless parameter; the files in
the repository do not change. The other stubs of the old load, which Triton abandons, are ended. A
stub that hangs is killed, and then healed like one that died.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Thread

from trimaran.checks.raising import checked_config
from trimaran.repository.live import with_generation
from trimaran.repository.repository import Repository
from trimaran.serving.control import Control, ModelState
from trimaran.serving.hangs import HANG_TIMEOUT_S, HangWatch, Pulse, read_pulse
from trimaran.serving.metrics import Metrics
from trimaran.serving.native.instances import NativeInstance, native_instances
from trimaran.serving.shared_memory import instances_of
from trimaran.serving.stub_processes import (
    Heals,
    Leftovers,
    Stub,
    StubWatch,
    StuckLoads,
    Turns,
    identify_stub,
    judge,
    short_of_stubs,
)
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import children, cpu_s, is_zombie

__all__ = ["Supervisor", "reload_model"]

_INTERVAL_S = 0.2
_LOOKS_PER_CENSUS = 5
_PULSES_EVERY_S = 1.0
_RETRY_S = 2.0


@dataclass(frozen=True)
class _Outcome:
    """A reload that ended, and the error if it failed."""

    model: str
    took_s: float
    error: str


class Supervisor(Thread):
    """Watches a server's stubs and reloads a model whose stub died.

    Events go to `log` and to `metrics`, from this thread. A stub that works on the same requests
    for `hang_timeout_s` is killed, and tritonserver where an instance of the native backend does;
    0 lets them.
    """

    def __init__(
        self,
        server_pid: int,
        repository: Repository,
        control: Control,
        stub_backends: Collection[str],
        log: logging.Logger,
        metrics: Metrics,
        hang_timeout_s: float = HANG_TIMEOUT_S,
    ) -> None:
        super().__init__(name="supervisor", daemon=True)
        self._server_pid = server_pid
        self._repository = repository
        self._control = control
        self._stub_backends = stub_backends
        self._log = log
        self._metrics = metrics
        self._watch = StubWatch()
        self._hangs = HangWatch[Stub | NativeInstance](hang_timeout_s)
        self._pulses_at = 0.0
        self._children: set[int] = set()
        self._looks = 0
        self._dead: tuple[Stub, ...] = ()
        self._heals = Heals()
        self._outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        self._leftovers = Leftovers()
        self._turns = Turns()
        self._lacking_loads: Collection[str] = ()
        self._stuck_loads = StuckLoads()
        self._stuck: Sequence[str] = ()
        self._stopping = Event()

    def run(self) -> None:
        """Watch until `finish` is called; no failure ends it."""
        while not self._stopping.wait(_INTERVAL_S):
            try:
                self._look()
                self._begin_heals()
                self._end_heals()
                self._end_leftovers()
            except (TrimaranError, OSError) as error:
                if not self._stopping.is_set():
                    self._log.error(f"the supervisor could not watch the models: {error}")

    def finish(self) -> None:
        """End the thread; reloads in progress end with the server."""
        self._stopping.set()

    def stuck(self) -> Sequence[str]:
        """The models that only another server can load; see `StuckLoads`."""
        return self._stuck

    def ailing(self) -> set[str]:
        """The models of which a stub is dead, until their reload has ended. Any thread may ask."""
        return set(self._heals.due) | set(self._heals.running)

    def _look(self) -> None:
        living, zombies = self._processes()
        if (now := time.monotonic()) >= self._pulses_at:
            self._pulses_at = now + _PULSES_EVERY_S
            self._kill_hanging(living, now)
        deaths = self._watch.observe(living, zombies)
        # Kept until the server has answered, however long it does not.
        self._dead += self._heals.of_concern(deaths.stubs)
        self._heals.forget_gone(self._children)
        dead_loads: set[str] = set()
        if self._dead:
            states = {(s.name, int(s.version or 0)): s.state for s in self._control.index()}
            verdict = judge(self._dead, states)
            self._dead = verdict.undecided
            dead_loads = {s.model for s in self._dead if states[s.model, s.version] == "LOADING"}
            for stub in verdict.broken:
                self._log.warning(
                    f"{stub.model} version {stub.version}: stub {stub.instance} (process "
                    f"{stub.pid}) died"
                )
                self._metrics.stub_died(stub.model)
                self._heals.died(stub)
        if self._turns.is_due(deaths.strangers, now) or self._lacking_loads:
            self._place_strangers(list(deaths.strangers))
        doubtful = {
            *dead_loads,
            *self._heals.doubtful(self._turns.newest_at),
            *self._lacking_loads,
        }
        self._stuck = self._stuck_loads.observe(doubtful, now)

    def _place_strangers(self, strangers: list[int]) -> None:
        """Heal the models that lack stubs: these dead processes were theirs.

        One whose model is not found is looked into again: a stub that Triton is about to end can
        stand in for one that died.
        """
        states = self._control.index()
        living = self._living()
        self._lacking_loads = self._loads_without(living, states) if strangers else ()
        for model, lacking in self._short_of_stubs(living, states).items():
            if not self._heals.is_known(model):
                self._log.warning(f"{model}: a stub died as soon as it was started")
                self._metrics.stub_died(model)
                self._heals.due[model] = 0.0
                self._watch.explain(strangers[:lacking])
                del strangers[:lacking]

    def _kill_hanging(self, living: Mapping[int, Stub], now: float) -> None:
        pulses: dict[Stub | NativeInstance, Pulse] = {
            **{stub: read_pulse(pid) for pid, stub in living.items()},
            **{each: Pulse(began_at=each.began_at) for each in native_instances(self._server_pid)},
        }
        for each, words in self._hangs.observe(pulses, now).items():
            told = (
                f"stub {each.instance} (process {each.pid}) {words}; killing it"
                if isinstance(each, Stub)
                else f"instance {each.name} {words} in tritonserver itself; killing that"
            )
            self._log.error(
                f"{each.model} version {each.version}: {told} "
                f"(--hang-timeout {self._hangs.limit_s:g})"
            )
            self._metrics.hung(each.model)
            _kill(each.pid)

    def _processes(self) -> tuple[dict[int, Stub], list[int]]:
        # Reading the children of every thread of the server is the expensive part.
        if self._looks % _LOOKS_PER_CENSUS == 0:
            self._children = children(self._server_pid)
        self._looks += 1
        living, zombies = {}, []
        for pid in self._children:
            if is_zombie(pid):
                zombies.append(pid)
            elif (stub := self._watch.known.get(pid) or identify_stub(pid)) is not None:
                living[pid] = stub
        return living, zombies

    def _living(self) -> set[Stub]:
        """The stubs that Triton sends requests to, or will: of this moment."""
        self._looks = 0
        return (self._watch.not_dead() | set(self._processes()[0].values())) - self._heals.replaced

    def _short_of_stubs(
        self, living: Collection[Stub], states: Iterable[ModelState]
    ) -> dict[str, int]:
        """The models that lack stubs, if these are `living`; the states are older than that."""
        ready = [(s.name, int(s.version)) for s in states if s.state == "READY"]
        instances = {}
        for model in {model for model, _ in ready}:
            config = self._control.config(model)
            if config.get("backend") in self._stub_backends:
                groups = config.get("instance_group", [])
                instances[model] = max(1, sum(int(group["count"]) for group in groups))
        return short_of_stubs(living, ready, instances)

    def _loads_without(
        self, living: Collection[Stub], states: Iterable[ModelState]
    ) -> Collection[str]:
        """The models that are being loaded and lack a stub, by their files."""
        loading = [(s.name, int(s.version or 0)) for s in states if s.state == "LOADING"]
        instances = {}
        for model in {model for model, _ in loading}:
            with suppress(TrimaranError):  # the load says what is wrong
                config = self._repository.live(model) or self._repository.config(model)
                if config.backend in self._stub_backends:
                    instances[model] = instances_of(config)
        return short_of_stubs(living, loading, instances)

    def _begin_heals(self) -> None:
        """Reload each broken model in a thread of its own: a slow one holds up no other."""
        for model in self._heals.ready(now := time.monotonic()):
            replaced = [stub for stub in self._processes()[0].values() if stub.model == model]
            self._heals.begin(model, replaced, now)
            Thread(target=self._heal, args=(model,), name=f"heal-{model}", daemon=True).start()

    def _heal(self, model: str) -> None:
        began, error = time.monotonic(), ""
        try:
            reload_model(self._repository, self._control, model)
        except (TrimaranError, OSError) as failure:
            error = str(failure)
        self._outcomes.put(_Outcome(model, time.monotonic() - began, error))

    def _end_heals(self) -> None:
        now = time.monotonic()
        while not self._outcomes.empty() and not self._stopping.is_set():
            done = self._outcomes.get()
            if done.error:
                self._log.error(f"{done.model}: could not be healed, trying again: {done.error}")
                self._metrics.heal_failed(done.model)
                self._heals.end(done.model, now + _RETRY_S)
                continue
            self._log.info(f"{done.model}: healed in {done.took_s:.1f} s")
            self._metrics.healed(done.model)
            self._leftovers.add(self._heals.end(done.model), now, cpu_s)

    def _end_leftovers(self) -> None:
        idle = self._leftovers.due(time.monotonic(), identify_stub, cpu_s)
        if not idle:
            return
        try:
            states = self._control.index()
            needed = self._short_of_stubs(self._living() - set(idle), states)
        except (TrimaranError, OSError):
            self._leftovers.add(idle, time.monotonic(), cpu_s)
            raise
        needless = [stub for stub in idle if stub.model not in needed]
        for stub in needless:
            _kill(stub.pid)
        self._leftovers.add(set(idle) - set(needless), time.monotonic(), cpu_s)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def reload_model(repository: Repository, control: Control, model: str) -> None:
    """Make Triton restart a model's stubs, with the versions that it serves now.

    Raises `TrimaranError` with Triton's reason.
    """
    with repository.live_lock(model):
        config = repository.live(model) or checked_config(repository, model)
        control.load_given(with_generation(config, str(time.time_ns())))
