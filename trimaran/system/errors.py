"""Errors that reach the user, each as one sentence."""

from __future__ import annotations

__all__ = ["ArtifactError", "ConfigError", "ParityError", "TrimaranError", "UsageError"]


class TrimaranError(Exception):
    """One sentence for the user: what was found, where, and what to do. Exit status 1."""

    exit_status = 1


class UsageError(TrimaranError):
    """The command was called wrongly. Exit status 2."""

    exit_status = 2


class ConfigError(TrimaranError):
    """A `config.pbtxt` is unreadable, or disagrees with its model."""


class ParityError(TrimaranError):
    """An exported artifact does not compute what the trained module computes."""


class ArtifactError(TrimaranError):
    """A file that cannot be served as a model."""
