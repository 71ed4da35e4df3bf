"""The first error in a configuration as an exception, for what must not go on with it."""

from __future__ import annotations

from trimaran.checks.finding import Severity
from trimaran.checks.model import check_model
from trimaran.config import ModelConfig
from trimaran.errors import ConfigError

__all__ = ["check_config"]


def check_config(config: ModelConfig, directory: str, where: str) -> None:
    """Refuse what Triton would refuse, or take for something else than was meant.

    Raises `ConfigError` with the field, the value found and the remedy.
    """
    for finding in check_model(config, directory):
        if finding.severity is Severity.ERROR:
            raise ConfigError(f"{where}: {finding.sentence}")
