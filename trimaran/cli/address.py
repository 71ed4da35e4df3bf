"""The server that a command's options name: `--host` and ports, or `--url` with a token."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import UsageError
from trimaran.system.files import read_regular
from trimaran.system.ports import Ports

__all__ = ["TOKEN_VARIABLE", "endpoint_given"]

TOKEN_VARIABLE = "TRIMARAN_TOKEN"  # noqa: S105 - the name of the variable
"""The environment variable with the bearer token for `--url`."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LONGEST_TOKEN = 65_536


def endpoint_given(
    host: str | None,
    http_port: int | None,
    grpc_port: int | None,
    url: str | None,
    ca: Path | None,
    token_file: Path | None,
) -> Endpoint | None:
    """Where the options say that requests go; `None` where they name no server.

    Raises `UsageError` for options that exclude each other or cannot be used.
    """
    for name, value in (("--ca", ca), ("--token-file", token_file)):
        if value is not None and url is None:
            raise UsageError(f"{name} goes with --url")
    ports = {"--host": host, "--http-port": http_port, "--grpc-port": grpc_port}
    given = next((name for name, value in ports.items() if value is not None), None)
    if url is None:
        if given is None:
            return None
        return Endpoint.of(Ports(host or "127.0.0.1", http_port or 8000, grpc_port or 8001))
    if given is not None:
        raise UsageError(f"--url names host and port for both protocols; leave {given} out")
    token = _read_token(token_file) if token_file else os.environ.get(TOKEN_VARIABLE, "")
    return Endpoint.at(url, ca, token.strip())


def _read_token(path: Path) -> str:
    """The token in a file that its owner alone can read. Raises `UsageError`."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) and mode & _OTHERS:
            raise UsageError(
                f"--token-file {path} can be read by others (mode {stat.S_IMODE(mode):o}); run "
                f"chmod 600 {path}"
            )
        content = read_regular(path)
    except OSError as error:
        raise UsageError(f"--token-file {path} cannot be read: {error.strerror}") from error
    if len(content) > _LONGEST_TOKEN or not content.strip():
        raise UsageError(f"--token-file {path} holds no token; write the token alone into it")
    return content.decode("ascii", errors="replace")
