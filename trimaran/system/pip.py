"""pip, so that the user's index, proxy and certificates apply to what is downloaded."""

from __future__ import annotations

import subprocess
import sys

from trimaran.system.errors import TrimaranError

__all__ = ["call_pip"]

_RESUME_RETRIES = "20"
_STDERR = 2
"""The process' own, where pip shows its progress. `sys.stderr` may be an object without a file, as
in a notebook."""


def call_pip(command: str, *arguments: str, python: str | None = None) -> None:
    """Run one of pip's commands, for this environment or another's interpreter.

    A broken connection is resumed. Raises `TrimaranError` with pip's reason.
    """
    called = [sys.executable, "-m", "pip", *(["--python", python] if python else [])]
    called += [
        "--disable-pip-version-check",
        command,
        "--resume-retries",
        _RESUME_RETRIES,
        "--only-binary=:all:",
        *arguments,
    ]
    result = subprocess.run(called, stdout=_STDERR, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        reasons = [line for line in result.stderr.splitlines() if line.startswith("ERROR:")]
        raise TrimaranError((reasons or [result.stderr.strip()])[-1].removeprefix("ERROR: "))
