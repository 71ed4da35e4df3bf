"""A headless Chromium that shows pages, measures how they can be read, and photographs them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from websockets.sync.client import ClientConnection, connect

from tests.programs import require
from tests.running import wait_for

Scheme = Literal["light", "dark"]

SHOWN: list[tuple[Scheme, int]] = [
    ("light", 1280),
    ("light", 420),
    ("dark", 1280),
    ("dark", 420),
]
"""On a wide screen and on a telephone."""

_START_S = 60.0
_ANSWER_S = 60.0
_MEASURE = Path(__file__).with_name("measure.js").read_text(encoding="utf-8")


class Browser:
    """One tab, spoken to by Chromium's DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._call("Page.enable")

    def show(self, url: str, width: int, scheme: Scheme) -> None:
        """Load a page in a window so many CSS pixels wide, for a reader of light or dark pages."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self._call("Emulation.setEmulatedMedia", features=features)
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._call("Page.navigate", url=url)
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def problems(self) -> list[str]:
        """What keeps the page from being read: see `measure.js`."""
        return list(self.run(f"{_MEASURE}()"))

    def photograph(self) -> bytes:
        """The whole page as a PNG."""
        answer = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        return dict(json.loads(self._socket.recv(_ANSWER_S)))


@contextmanager
def browsing(home: Path, certificate: Path | None = None) -> Iterator[Browser]:
    """A browser with an empty profile in `home`, which is removed with it.

    It takes a server's `certificate` as valid, also where no authority signed it.
    """
    chromium = require("chromium")
    process = subprocess.Popen(
        [
            *(chromium.path, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0"),
            *(
                [f"--ignore-certificate-errors-spki-list={_pin(certificate)}"]
                if certificate
                else []
            ),
            *(f"--user-data-dir={home}", "about:blank"),
        ],
        stderr=subprocess.DEVNULL,
        env={**os.environ, **chromium.environment},
    )
    try:
        address = home / "DevToolsActivePort"
        wait_for(lambda: address.is_file() and address.read_text().count("\n"), _START_S, "a port")
        port = address.read_text().split()[0]
        with connect(_tab(port), max_size=None) as socket:
            yield Browser(socket)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _pin(certificate: Path) -> str:
    """The hash of its public key."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(hashlib.sha256(key.public_bytes(*form)).digest()).decode()


def _tab(port: str) -> str:
    listed = urllib3.request("GET", f"http://127.0.0.1:{port}/json/list").json()
    return str(next(each["webSocketDebuggerUrl"] for each in listed if each["type"] == "page"))
