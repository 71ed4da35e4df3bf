"""A client with many large bodies that stand still takes a part of the memory, and no more."""

from __future__ import annotations

import shutil
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.gateway.door import RECORD, Door
from tests.running import Served, wait_for
from trimaran.repository.repository import Repository

pytestmark = pytest.mark.long
PREDICT = "/models/churn/predict"
BODY = 8 << 20
BODIES = 100
MOST_MB = 700
"""Of 800 MB that are sent; a part is read before Envoy looks at its memory."""


class Narrow(Door):
    """A gateway that may hold 256 MB."""

    def write(self, text: str) -> None:
        super().write(text)
        self.config.write_text(f"{self.config.read_text()}memory_mb = 256\n")


def test_large_bodies_that_stand_still_are_ended(churn_served: Served, tmp_path: Path) -> None:
    root = shutil.copytree(churn_served.repository.root, tmp_path / "model_repository")
    ports = churn_served.ports
    server = f'[[servers]]\nname = "a"\nhttp = "{ports.host}:{ports.http}"\n'
    server += f'grpc = "{ports.host}:{ports.grpc}"\n'
    door = Narrow(Repository.open(root), tmp_path / "gateway.toml", server)
    door.until_said("Press Ctrl-C to stop", 60)
    envoy = next(
        each for each in psutil.Process(door.process.pid).children() if each.name() == "envoy"
    )
    context = ssl.create_default_context(cafile=str(door.state / "gateway.crt"))
    token = door.bearer("infer:churn", subject="slow")["authorization"]
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\n"
    try:
        with ExitStack() as stack:

            def send(_: int) -> None:
                connection = stack.enter_context(
                    context.wrap_socket(
                        socket.create_connection(("localhost", door.port), timeout=30),
                        server_hostname="localhost",
                    )
                )
                begun = f"{head}content-length: {BODY + 1}\r\n\r\n".encode()
                try:
                    connection.sendall(begun + b" " * BODY)
                except OSError:
                    return  # ended by the gateway

            with ThreadPoolExecutor(8) as executor:
                list(executor.map(send, range(BODIES)))
            assert envoy.memory_info().rss >> 20 < MOST_MB
            wait_for(
                lambda: door.ask("POST", PREDICT, "infer:churn", record=RECORD).status == 200,
                20,
                "an answer for another client",
            )
        assert envoy.is_running()
    finally:
        door.stop()
