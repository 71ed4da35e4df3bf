"""Shared memory that a perf_analyzer leaves behind where it is ended before its time."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import urllib3

from trimaran.system.ports import Ports

__all__ = ["regions_of", "unregister_lost"]

_PLACE = "/dev/shm"  # noqa: S108 - where glibc keeps it
_TIMEOUT_S = 2.0
_PATIENCE_S = 5.0
_POLL_S = 0.05


def regions_of(pid: int) -> set[Path]:
    """The shared memory that a process has open, as files."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {Path(line.split()[-1]) for line in lines if line.split()[-1].startswith(f"{_PLACE}/")}


def unregister_lost(ports: Ports) -> None:
    """Let a server of this machine give up the regions whose files are gone.

    A region that a request still uses stays although it is unregistered, so this is asked again
    until it is done, for some seconds. A server that does not answer has none any more.
    """
    url = f"http://{ports.host}:{ports.http}/v2/systemsharedmemory"
    deadline = time.monotonic() + _PATIENCE_S
    pool = urllib3.PoolManager(retries=False, headers={"Connection": "close"})
    with suppress(urllib3.exceptions.HTTPError, ValueError, TypeError, KeyError):
        while time.monotonic() < deadline:
            regions = pool.request("GET", f"{url}/status", timeout=_TIMEOUT_S).json()
            lost = [region["name"] for region in regions if not _file(region["key"]).exists()]
            if not lost:
                return
            for name in lost:
                path = f"{url}/region/{quote(name, safe='')}/unregister"
                pool.request("POST", path, timeout=_TIMEOUT_S)
            time.sleep(_POLL_S)


def _file(key: str) -> Path:
    return Path(_PLACE) / key.lstrip("/")
