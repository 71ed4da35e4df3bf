"""What a user did wrong, or what the world refused, in one sentence each."""

from __future__ import annotations

__all__ = ["ArtifactError", "ConfigError", "ParityError", "TrimaranError", "UsageError"]


class TrimaranError(Exception):
    """One sentence for the user: what was found, where, and what to do. Exit status 1."""

    exit_status = 1


class UsageError(TrimaranError):
    """The command's words are wrong. Exit status 2."""

    exit_status = 2


class ConfigError(TrimaranError):
    """A `config.pbtxt` is unreadable, or disagrees with the model it stands for."""


class ParityError(TrimaranError):
    """An exported artifact does not compute what the trained module computes."""


class ArtifactError(TrimaranError):
    """A file that cannot be served as a model."""
