"""The webhook that Alertmanager calls: each alert becomes a line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["alert_line", "receiving"]

_MOST_BYTES = 1 << 20


def alert_line(alert: dict[str, Any]) -> str:
    """An alert of Alertmanager's webhook in words."""
    labels, notes = alert.get("labels", {}), alert.get("annotations", {})
    name = labels.get("alertname", "an alert without a name")
    summary = notes.get("summary", "")
    if alert.get("status") == "resolved":
        return f"over: {name}: {summary}"
    remedy = f"; {notes['remedy']}" if "remedy" in notes else ""
    return f"{labels.get('severity', 'alert')}: {name}: {summary}{remedy}"


@contextmanager
def receiving(host: str, port: int, say: Callable[[str], None]) -> Iterator[None]:
    """Listen during the block, and say each alert that begins or is over."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            try:
                alerts = json.loads(self.rfile.read(min(length, _MOST_BYTES)))["alerts"]
                lines = [alert_line(alert) for alert in alerts]
            except (ValueError, KeyError, TypeError, AttributeError):
                self.send_error(400, "not an Alertmanager webhook")
                return
            for line in lines:
                say(line)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing: what matters is said."""

    server = ThreadingHTTPServer((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
