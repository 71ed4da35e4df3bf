"""The first error in a configuration as an exception, for what must not go on with it."""

from __future__ import annotations

from trimaran.checks.backends import backend_of
from trimaran.checks.finding import Severity
from trimaran.checks.model import check_model
from trimaran.config import ModelConfig, is_ensemble
from trimaran.errors import ConfigError

__all__ = ["check_config"]


def check_config(config: ModelConfig, directory: str, where: str) -> None:
    """Refuse what Triton would refuse, or take for something else than was meant.

    What a Python model may complete is let through, since only its source could tell. Raises
    `ConfigError` with the field, the value found and the remedy.
    """
    partial = backend_of(config) in ("", "python") and not is_ensemble(config)
    for finding in check_model(config, directory, partial=partial):
        if finding.severity is Severity.ERROR:
            raise ConfigError(f"{where}: {finding.sentence}")
