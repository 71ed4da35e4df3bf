"""Rules for a Python model's own environment: the archive or directory that its parameter names.

Source: python_backend, `pb_env.cc` and `stub_launcher.cc`: a tar archive, plain or with gzip, or a
directory that holds `bin/activate`.
"""

from __future__ import annotations

from collections.abc import Mapping

from trimaran.checks.finding import Problems, error, warning
from trimaran.repository.config import ModelConfig

__all__ = ["ENVIRONMENT", "MODEL_DIRECTORY", "check_environment", "environment_path"]

ENVIRONMENT = "EXECUTION_ENV_PATH"
MODEL_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"


def environment_path(config: ModelConfig) -> str:
    """What the parameter says, or an empty text."""
    if ENVIRONMENT not in config.parameters:
        return ""
    return config.parameters[ENVIRONMENT].string_value


def check_environment(config: ModelConfig, backend: str, found: Mapping[str, str]) -> Problems:
    """An environment that is missing or no archive.

    `found` has by path what is wrong there, and an empty text where nothing is.
    """
    path = environment_path(config)
    if not path or backend != "python":
        return
    field = f"parameters.{ENVIRONMENT}"
    problem = found.get(path, "")
    if problem:
        yield error(
            field,
            f"{ENVIRONMENT} {path} {problem}",
            "pack it with conda-pack or venv-pack and put it there, or remove the parameter",
        )
    elif not path.startswith(("/", MODEL_DIRECTORY)):
        yield warning(
            field,
            f"{ENVIRONMENT} {path} is looked for from where the server is started",
            f"begin it with {MODEL_DIRECTORY}/",
        )
