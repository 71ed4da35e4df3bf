"""How a peer is set up. Its processes read it from the environment.

Needs the standard library only: a peer's own environment imports it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["READY_VARIABLE", "SETTING_VARIABLE", "Setting", "announce", "given_setting"]

SETTING_VARIABLE = "TRIMARAN_PEER_SETTING"
READY_VARIABLE = "TRIMARAN_PEER_READY"


@dataclass(frozen=True)
class Setting:
    """The settings that are tuned. Not every framework has all of them."""

    workers: int = 2
    """Processes that hold the model. `0` is MLServer's word for the server's own process."""
    threads: int = 1
    """Intra-op threads of the network in each of them."""
    batch: int = 1
    """Most requests that the framework puts together for one call; 1 is no batching."""
    wait_ms: float = 0.0
    """How long it may wait for a batch to fill."""
    pool: int = 0
    """Threads that answer next to a worker's event loop; 0 is in the event loop itself."""
    servers: int = 0
    """HTTP processes, where they are not the workers; 0 is the framework's own choice."""
    fast: bool = False
    """The framework's own switch for high rates, where it has one."""

    def __str__(self) -> str:
        words = [f"{self.workers} worker{'' if self.workers == 1 else 's'}"]
        words.append(f"{self.threads} thread{'' if self.threads == 1 else 's'}")
        if self.batch > 1:
            words.append(f"batches to {self.batch} within {self.wait_ms:g} ms")
        if self.pool:
            words.append(f"pool of {self.pool}")
        if self.servers:
            words.append(f"{self.servers} HTTP process{'' if self.servers == 1 else 'es'}")
        return ", ".join([*words, *(["high-rate switch"] if self.fast else [])])

    def to_json(self) -> str:
        """One line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Setting:
        """What `to_json` wrote."""
        return cls(**json.loads(text))


def given_setting() -> Setting:
    """The setting of this process, from the environment."""
    return Setting.from_json(os.environ[SETTING_VARIABLE])


def announce() -> None:
    """Report that this process has opened its job; a peer is ready when all its workers have."""
    (Path(os.environ[READY_VARIABLE]) / str(os.getpid())).touch()
