"""Heals what Triton does not notice: a Python stub that died.

Triton goes on calling such a model ready for ever, and skips a `load` of it because nothing has
changed. So a parameter of the generated configuration is counted up, which makes the `load` real.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from serving.control import Control
from serving.processes import Stub, children, identify_stub, is_zombie
from trimaran.config import write_config
from trimaran.errors import TrimaranError
from trimaran.live import with_generation
from trimaran.repository import Repository

__all__ = ["StubWatch", "Supervisor", "reload_model"]

_INTERVAL_S = 0.2
_RETRY_S = 2.0

Say = Callable[[str], None]


@dataclass
class StubWatch:
    """Tells dead stubs from those that ended because Triton asked them to.

    Triton waits for a stub that it ends, and not for one that was killed, which therefore stays a
    zombie: one that is seen twice is dead.
    """

    known: dict[int, Stub] = field(default_factory=dict)
    suspects: set[int] = field(default_factory=set)
    reported: set[int] = field(default_factory=set)

    def observe(self, living: Mapping[int, Stub], zombies: Iterable[int]) -> list[Stub]:
        """The stubs found dead by this look, each told once."""
        zombies = set(zombies)
        present = living.keys() | zombies
        self.known = {p: s for p, s in {**self.known, **living}.items() if p in present}
        dead = [
            self.known[pid]
            for pid in sorted(zombies & self.suspects & self.known.keys())
            if pid not in self.reported
        ]
        self.suspects = zombies
        self.reported = (self.reported | {stub.pid for stub in dead}) & present
        return dead


class Supervisor(threading.Thread):
    """Watches a server's stubs and reloads a model whose stub died.

    `say` is told what happened, from this thread.
    """

    def __init__(self, server_pid: int, repository: Repository, control: Control, say: Say) -> None:
        super().__init__(name="supervisor", daemon=True)
        self._server_pid = server_pid
        self._repository = repository
        self._control = control
        self._say = say
        self._watch = StubWatch()
        self._broken: dict[str, float] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look until `finish` is called."""
        while not self._stopping.wait(_INTERVAL_S):
            for stub in self._look():
                self._say(
                    f"{stub.model} version {stub.version}: stub {stub.instance} (process "
                    f"{stub.pid}) died"
                )
                self._broken.setdefault(stub.model, 0.0)
            for model, not_before in list(self._broken.items()):
                if time.monotonic() >= not_before and not self._stopping.is_set():
                    self._heal(model)

    def finish(self) -> None:
        """End the thread; a reload under way ends with the server."""
        self._stopping.set()

    def _look(self) -> list[Stub]:
        living, zombies = {}, []
        for pid in children(self._server_pid):
            if is_zombie(pid):
                zombies.append(pid)
            elif (stub := self._watch.known.get(pid) or identify_stub(pid)) is not None:
                living[pid] = stub
        return self._watch.observe(living, zombies)

    def _heal(self, model: str) -> None:
        began = time.monotonic()
        try:
            reload_model(self._repository, self._control, model)
        except TrimaranError as error:
            if not self._stopping.is_set():
                self._say(f"{model}: could not be healed, trying again: {error}")
            self._broken[model] = time.monotonic() + _RETRY_S
            return
        del self._broken[model]
        self._say(f"{model}: healed in {time.monotonic() - began:.1f} s")


def reload_model(repository: Repository, control: Control, model: str) -> None:
    """Make Triton start a model's stubs anew, serving the versions that it serves now.

    Raises `TrimaranError` with Triton's words.
    """
    with repository.deployment_lock():
        live = repository.live(model)
        config = with_generation(live or repository.config(model), live)
        write_config(repository.live_path(model), config)
        control.load(model)
