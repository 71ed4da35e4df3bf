"""The FastAPI service as processes: a uvicorn worker for each core."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3

from serving.ports import free_ports
from trimaran.errors import TrimaranError
from trimaran.repository import Version

__all__ = ["fastapi_service"]


@contextmanager
def fastapi_service(published: Version) -> Iterator[tuple[str, int]]:
    """The FastAPI service with a worker for each core: the address to post to, and the process."""
    port = free_ports().http
    command = [sys.executable, "-m", "uvicorn", "loadtests.fastapi_service:app"]
    command += ["--workers", str(os.cpu_count()), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    environment = {**os.environ, "TRIMARAN_VERSION": str(published.path)}
    process = subprocess.Popen([*command, "--log-level", "warning"], env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while not _answers(f"{url}/docs"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TrimaranError("the FastAPI service did not start")
            time.sleep(0.1)
        yield f"{url}/predict", process.pid
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, timeout=1.0).status == 200
    except urllib3.exceptions.HTTPError:
        return False
