"""The least of a gateway that the page needs: itself, the document, and predictions of a Triton."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3

from tests.running import Served
from trimaran.gateway.docs_page import CONTENT_SECURITY_POLICY, page
from trimaran.gateway.openapi import document

TOKEN = "a token that is accepted"  # noqa: S105
REQUEST_ID = "6f1c7a0e"


@contextmanager
def front_of(served: Served, models: Sequence[str]) -> Iterator[str]:
    """The address of one that runs during the block."""
    described = json.dumps(document(served.repository, models, None)).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/docs":
                self._send(200, page().encode(), "text/html; charset=utf-8")
            elif self._is_let_in():
                self._send(200, described)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self._is_let_in():
                model = self.path.split("/")[2]
                url = served.url(f"/v2/models/{model}/generate")
                answer = urllib3.request("POST", url, body=body)
                if answer.status == 200:
                    self._send(200, answer.data)
                else:
                    self._refuse(answer.status, answer.json()["error"], model)

        def log_message(self, *_: object) -> None:
            """Nothing."""

        def _is_let_in(self) -> bool:
            let_in = self.headers["Authorization"] == f"Bearer {TOKEN}"
            if not let_in:
                self._refuse(401, "the token expired; get another", "gateway")
            return let_in

        def _refuse(self, status: int, error: str, where: str) -> None:
            form = {"error": error, "where": where, "request_id": REQUEST_ID}
            self._send(status, json.dumps(form).encode())

        def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            self.send_header("x-request-id", REQUEST_ID)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
