"""The moment another version goes live: one rename and one load, or all as it was."""

from __future__ import annotations

from trimaran.repository.config import ModelConfig, write_config
from trimaran.repository.repository import Repository
from trimaran.serving.control import Control, LoadTimeoutError
from trimaran.system.errors import TrimaranError

__all__ = ["flip"]


def flip(repository: Repository, control: Control, live: ModelConfig) -> None:
    """Make `live` the live configuration of the model that it names, and load it.

    Triton serves the old version until the new one is ready. Raises `TrimaranError` where it does
    not load; the old configuration stands again then.
    """
    path = repository.live_path(live.name)
    before = repository.live(live.name)
    write_config(path, live)
    try:
        control.load(live.name)
    except TrimaranError as error:
        if before is None:
            path.unlink()
        else:
            write_config(path, before)
            # A server with a model that hangs would not come to the end of another load.
            if not isinstance(error, LoadTimeoutError):
                control.load(live.name)
        raise
