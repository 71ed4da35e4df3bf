"""The ceiling of a server: a fixed number of connections, each with one request at a time.

The generators are C programs, so that little of the machine is theirs: `wrk` for HTTP/1.1 and
`h2load` for gRPC, which is HTTP/2 underneath. Both are Debian packages (`wrk`,
`nghttp2-client`).
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trimaran.errors import TrimaranError

__all__ = ["Ceiling", "grpc_ceiling", "http_ceiling", "require_generators"]

_PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client"}


@dataclass(frozen=True)
class Ceiling:
    """What one run came to. Latencies are from a request's sending to its answer."""

    requests: int
    rate: float
    """Answers per second."""
    p50_s: float
    p99_s: float


def require_generators() -> None:
    """Raise `TrimaranError` naming what is not installed, and the line that installs it."""
    missing = [package for program, package in _PACKAGES.items() if not shutil.which(program)]
    if missing:
        raise TrimaranError(
            f"{' and '.join(missing)} are not installed; 'apt-get install {' '.join(missing)}'"
        )


def http_ceiling(
    url: str,
    bodies: Sequence[str],
    *,
    connections: int,
    seconds: float,
    headers: Mapping[str, str] | None = None,
) -> Ceiling:
    """POST the bodies in turn as JSON. Raises `TrimaranError` if any request was refused."""
    script = _lua(bodies, {"Content-Type": "application/json", **(headers or {})})
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        output = _run("wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s", file.name, url)
    found = re.search(r"result (\d+) (\d+) (\S+) (\S+) (\d+)", output)
    if not found:
        raise TrimaranError(f"wrk measured nothing at {url}: {output.strip()}")
    requests, duration_us, p50_us, p99_us, errors = map(float, found.groups())
    if errors or not requests:
        raise TrimaranError(f"{errors:.0f} of {requests:.0f} requests to {url} failed")
    return Ceiling(int(requests), requests / duration_us * 1e6, p50_us / 1e6, p99_us / 1e6)


def grpc_ceiling(
    address: str, method: str, message: bytes, *, connections: int, seconds: float
) -> Ceiling:
    """Call a unary gRPC method with one message, again and again.

    gRPC tells of a refusal after the body, which h2load does not read: check before and after, by
    the server's own count, that requests are answered. Raises `TrimaranError`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        body, log = Path(scratch) / "body", Path(scratch) / "log"
        body.write_bytes(b"\0" + struct.pack(">I", len(message)) + message)
        output = _run(
            "h2load", f"--clients={connections}", "--max-concurrent-streams=1",
            f"--duration={seconds}", f"--log-file={log}", f"--data={body}",
            "--header=content-type: application/grpc", "--header=te: trailers",
            f"http://{address}{method}",
        )  # fmt: skip
        entries = np.loadtxt(log, dtype=np.int64, ndmin=2)
    if not len(entries) or (entries[:, 1] != 200).any():
        raise TrimaranError(f"requests to {address}{method} failed: {output.strip()}")
    took_s = entries[:, 2] / 1e6
    ended_us = entries[:, 0] + entries[:, 2]
    span_s = (ended_us.max() - entries[:, 0].min()) / 1e6
    p50_s, p99_s = np.quantile(took_s, [0.5, 0.99])
    return Ceiling(len(entries), len(entries) / span_s, float(p50_s), float(p99_s))


def _lua(bodies: Sequence[str], headers: Mapping[str, str]) -> str:
    lines = ["local bodies = {}"]
    lines += [f"bodies[#bodies + 1] = {_quoted(body)}" for body in bodies]
    lines += [f"wrk.headers[{_quoted(key)}] = {_quoted(value)}" for key, value in headers.items()]
    return "\n".join(lines) + _SCRIPT


_SCRIPT = """
wrk.method = "POST"
local requests, index = {}, 0
init = function()
  for place, body in ipairs(bodies) do requests[place] = wrk.format(nil, nil, nil, body) end
end
request = function()
  index = index % #requests + 1
  return requests[index]
end
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("result %d %d %f %f %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


def _quoted(text: str) -> str:
    """A Lua string."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def _run(program: str, *arguments: str) -> str:
    require_generators()
    result = subprocess.run(
        [shutil.which(program) or program, *arguments], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise TrimaranError(f"{program} failed: {(result.stderr or result.stdout).strip()}")
    return result.stdout
