"""A model with another configuration, beside itself on the same server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loadtests.subject.service import Service
from loadtests.subject.version_files import version_files
from trimaran.repository.config import read_config
from trimaran.repository.live import live_versions, pinned_versions
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["variant"]


@contextmanager
def variant(service: Service, model: str, config_file: Path) -> Iterator[str]:
    """The name under which `model` is served with the configuration of `config_file`.

    Its files are those of the live version, an ensemble's steps those of the live release. It is
    gone after the block, and nothing is written into the repository. Raises `TrimaranError` where
    the server refuses it.
    """
    if service.repository is None:
        raise UsageError("--vs-config needs the server's repository, so leave --host out")
    name = f"{model}_variant"
    if name in {item.name for item in service.control.index()}:
        raise TrimaranError(f"the server has a model {name!r} already; unload or rename it")
    config = read_config(config_file)
    config.name = name
    config.ClearField("version_policy")
    live = live_versions(service.repository.live(model))
    if not live:
        raise TrimaranError(f"no version of {model} is live")
    directory = service.repository.model(model) / str(max(live))
    pins = pinned_versions(service.repository.live(model) or config)
    for step in config.ensemble_scheduling.step:
        if step.model_version < 0:
            step.model_version = pins.get(step.model_name, -1)
    service.control.load_given(config, version_files(directory, 1))
    try:
        yield name
    finally:
        with suppress(TrimaranError):  # a server that went away is told by the run
            service.control.unload(name)
