"""Whether an ensemble's step maps fit: every tensor fed once, dtypes and full shapes equal."""

from __future__ import annotations

from collections.abc import Mapping

from trimaran.checks.finding import Severity
from trimaran.checks.steps import check_nesting, check_wired
from trimaran.repository.config import ModelConfig
from trimaran.system.errors import ConfigError

__all__ = ["check_wiring", "step_models"]


def step_models(ensemble: ModelConfig) -> list[str]:
    """The models that an ensemble's steps name, each once, in order."""
    return list(dict.fromkeys(step.model_name for step in ensemble.ensemble_scheduling.step))


def check_wiring(ensemble: ModelConfig, models: Mapping[str, ModelConfig]) -> None:
    """Refuse an ensemble that Triton would refuse, or that would fail on its first request.

    `models` has the configuration of every step's model, by name. Raises `ConfigError` naming
    the step, the tensor, and both sides.
    """
    findings = [
        *check_nesting(ensemble, models),  # Triton serves these, but a release cannot pin them.
        *(f for f in check_wired(ensemble, models) if f.severity is Severity.ERROR),
    ]
    for finding in findings:
        raise ConfigError(f"ensemble {ensemble.name}: {finding.sentence}")
