"""Configurations for the embedded tritonserver, which is older than `torch_aoti`.

Its core refuses the backend `pytorch` with a platform that it does not know. So it reads its own
file of each model, `configs/embedded.pbtxt`: for a package of AOTInductor a copy of what is live,
whose platform has become a parameter, and for any other model a link to `configs/live.pbtxt`. Where
that does not exist, Triton reads `config.pbtxt`. A newer tritonserver reads `live.pbtxt` itself.
"""

from __future__ import annotations

import os

from trimaran.checks.backends import AOTI, default_file
from trimaran.repository.config import ModelConfig, format_config, write_config
from trimaran.repository.repository import Repository
from trimaran.serving.backends.settings import PLATFORM
from trimaran.system.errors import TrimaranError

__all__ = [
    "EMBEDDED_CONFIG_NAME",
    "EMBEDDED_VERSION",
    "prepare",
    "readable",
    "remove_live",
    "write_live",
]

EMBEDDED_VERSION = "2.51.0"
EMBEDDED_CONFIG_NAME = "embedded"
"""What the embedded server is given as `--model-config-name`."""


def readable(config: ModelConfig) -> ModelConfig:
    """`config`, or what the embedded server and its `pytorch` backend understand in its place."""
    if config.platform != AOTI:
        return config
    changed = ModelConfig()
    changed.CopyFrom(config)
    changed.parameters[PLATFORM].string_value = changed.platform
    changed.default_model_filename = config.default_model_filename or default_file(
        config, "pytorch"
    )
    changed.backend, changed.platform = "pytorch", ""
    return changed


def write_live(repository: Repository, config: ModelConfig) -> None:
    """Make `config` the live configuration of the model that it names, for any server."""
    write_config(repository.live_path(config.name), config)
    _show(repository, config.name, config)


def remove_live(repository: Repository, name: str) -> None:
    """Remove a live configuration, so that servers read `config.pbtxt`."""
    repository.live_path(name).unlink()
    prepare(repository, [name])


def prepare(repository: Repository, names: list[str]) -> None:
    """Let the embedded server see what is live of the models `names`.

    A model whose configuration cannot be read is left to the server, which says why.
    """
    for name in names:
        try:
            config = repository.live(name) or repository.config(name)
        except TrimaranError:
            config = ModelConfig(name=name)
        _show(repository, name, config)


def _show(repository: Repository, name: str, config: ModelConfig) -> None:
    """Write the file that the embedded server reads, unless it is right already.

    Triton takes a new time of the file for a change of the model.
    """
    live = repository.live_path(name)
    path = live.with_name(f"{EMBEDDED_CONFIG_NAME}.pbtxt")
    if config.platform == AOTI:
        text = format_config(readable(config))
        if path.is_symlink() or not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_config(path, readable(config))
        return
    if path.is_symlink() or not (live.exists() or path.exists()):
        return
    # By a rename: another server may read the file, or write it too.
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.unlink(missing_ok=True)
    made.symlink_to(live.name)
    made.replace(path)
