"""Another version of a model goes live without a failed request.

1. The version is loaded in a server that nobody asks, and must answer the golden requests.
2. The model's live configuration is renamed into place and loaded: one flip.

In the server that is asked it cannot be tried: the highest number takes the requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trimaran.checks.raising import checked_config, sound_ensembles
from trimaran.publishing.wiring import step_models
from trimaran.repository.config import ModelConfig
from trimaran.repository.live import LiveRelease, render_deployed
from trimaran.repository.repository import Repository
from trimaran.rollout.flip import flip
from trimaran.serving.client import Client
from trimaran.serving.control import Control
from trimaran.serving.golden import check_golden, read_golden
from trimaran.serving.runtime import Runtime
from trimaran.serving.server import private_server
from trimaran.system.errors import TrimaranError

__all__ = ["VersionSwitch", "require_no_step"]


@dataclass(frozen=True)
class VersionSwitch:
    """One model on one server. `say` is told each step.

    `elsewhere` is what to try the version with, in a server of its own; `None` where the server
    is one that nobody asks.
    """

    repository: Repository
    control: Control
    client: Client
    model: str
    elsewhere: Runtime | None
    say: Callable[[str], None]

    def to(self, target: LiveRelease) -> int:
        """Make `target` live; gives how many golden requests it answered before.

        Raises `TrimaranError` if the version is damaged, does not load, or fails a golden request;
        the live one goes on serving then.
        """
        require_no_step(self.repository, self.model)
        version = self.repository.version(self.model, target.number)
        damage = version.manifest and version.manifest.damage(version.path, hashes=True)
        if damage:
            raise TrimaranError(f"{self.model} version {target.number} cannot be served: {damage}")
        live = render_deployed(checked_config(self.repository, self.model), target)
        self.say(f"asking version {target.number} the golden requests")
        try:
            golden = self._try(live)
            self.say(f"switching to version {target.number}")
            flip(self.repository, self.control, live)
        except TrimaranError as error:
            raise type(error)(
                f"{self.model} version {target.number} was not deployed: {error}"
            ) from error
        return golden

    def _try(self, live: ModelConfig) -> int:
        requests = read_golden(self.repository, live)
        with self._quiet_server() as (control, client):
            control.load_given(live)
            check_golden(client, self.model, requests)
        return len(requests)

    @contextmanager
    def _quiet_server(self) -> Iterator[tuple[Control, Client]]:
        if self.elsewhere is None:
            yield self.control, self.client
            return
        with (
            private_server(self.elsewhere, self.repository, beside=True) as server,
            Client(server.ports) as client,
        ):
            yield server.control, client


def require_no_step(repository: Repository, model: str) -> None:
    """Raise `TrimaranError` for a step: the ensemble's releases say which version is live."""
    for ensemble in sound_ensembles(repository):
        if model in step_models(checked_config(repository, ensemble)):
            raise TrimaranError(
                f"{model} is a step of {ensemble}, whose releases pin its version; deploy "
                f"{ensemble} instead"
            )
