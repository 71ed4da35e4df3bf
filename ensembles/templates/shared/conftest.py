"""A real server of what the project makes now, in a repository and on ports of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent
TRIMARAN = [sys.executable, "-P", "-m", "trimaran"]
SETTINGS = tomllib.loads((PROJECT / "trimaran.toml").read_text(encoding="utf-8"))
COMMANDS = [*(["train"] if "table" in SETTINGS else []), "export", "publish", "release"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The server's addresses by protocol, `http` and `grpc`. It runs until the tests end."""
    repository = tmp_path_factory.mktemp("served") / "model_repository"
    environment = {**os.environ, "TRIMARAN_REPOSITORY": str(repository)}
    for command in COMMANDS:
        subprocess.run([*TRIMARAN, command], cwd=PROJECT, env=environment, check=True)
    ports = free_ports("http", "grpc", "metrics", "supervisor")
    process = subprocess.Popen(
        [*TRIMARAN, "serve", *(f"--{name}-port={port}" for name, port in ports.items())],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        if not any("Press Ctrl-C to stop" in line for line in process.stdout):
            pytest.fail(f"trimaran serve ended with status {process.wait()}")
        yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def free_ports(*names: str) -> dict[str, int]:
    """A free port for each name."""
    with ExitStack() as stack:
        sockets = {name: stack.enter_context(socket.socket()) for name in names}
        for each in sockets.values():
            each.bind(("127.0.0.1", 0))
        return {name: each.getsockname()[1] for name, each in sockets.items()}
