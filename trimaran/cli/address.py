"""The server that a command's options name: `--host` and ports, or `--url` with a token."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import UsageError
from trimaran.system.files import read_regular
from trimaran.system.ports import Ports

__all__ = ["TOKEN_VARIABLE", "Address"]

TOKEN_VARIABLE = "TRIMARAN_TOKEN"  # noqa: S105 - the name of the variable
"""The environment variable with the bearer token for `--url`."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LONGEST_TOKEN = 65_536


@dataclass(frozen=True)
class Address:
    """What was given for the options of a server; `None` for each that was not."""

    host: str | None
    http_port: int | None
    grpc_port: int | None
    url: str | None
    ca: Path | None
    token_file: Path | None

    def endpoint(self) -> Endpoint | None:
        """Where requests go; `None` where no server is named.

        Raises `UsageError` for options that exclude each other or cannot be used.
        """
        ports = {"--host": self.host, "--http-port": self.http_port, "--grpc-port": self.grpc_port}
        port = next((name for name, value in ports.items() if value is not None), None)
        if self.url is not None:
            if port is not None:
                raise UsageError(f"--url names host and port for both protocols; leave {port} out")
            return self.at(self.url)
        for name, value in (("--ca", self.ca), ("--token-file", self.token_file)):
            if value is not None:
                raise UsageError(f"{name} goes with --url")
        if port is None:
            return None
        host, http, grpc = self.host or "127.0.0.1", self.http_port or 8000, self.grpc_port or 8001
        return Endpoint.of(Ports(host, http, grpc))

    def at(self, url: str, *, named: str = "--url") -> Endpoint:
        """An address, which the user calls `named`, with these certificates and this token."""
        given = self.token_file
        token = _read_token(given) if given else os.environ.get(TOKEN_VARIABLE, "")
        return Endpoint.at(url, self.ca, token.strip(), named=named)

    def without_ports(self) -> Address:
        """Only the options that go with `--url`."""
        return replace(self, host=None, http_port=None, grpc_port=None)

    def without_url(self) -> Address:
        """Only the options that go without `--url`."""
        return replace(self, url=None, ca=None, token_file=None)


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
