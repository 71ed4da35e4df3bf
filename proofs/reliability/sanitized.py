"""Bad requests, and loads and unloads beside them, against a native backend with sanitizers.

One allocation is lost on purpose, so that the search for leaks is known to have run.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from proofs.reliability.fuzz import send_http
from proofs.reliability.grpc_requests import draw_grpc
from proofs.reliability.http_requests import Subject, draw_http
from proofs.reliability.load import call_grpc, open_channel
from proofs.reliability.sanitized_models import subjects, write_models
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client
from trimaran.serving.native.building import BASE_FLAGS, LIBRARY, compile_backend
from trimaran.serving.runtime import OnnxBackend, Runtime, find_runtime
from trimaran.serving.server import Server
from trimaran.system.compiler import Compiler, find_compiler
from trimaran.system.errors import TrimaranError
from trimaran.system.files import temporary_directory
from trimaran.system.ports import free_ports

__all__ = ["sanitize"]

_FLAGS = (
    *BASE_FLAGS,
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
)
_LOST = 4242
_HELPER = f"""\
#include <cstdlib>
extern "C" void freelocale(void*) {{}}
static void* volatile lost;
__attribute__((constructor)) static void lose() {{
  lost = std::malloc({_LOST});
  lost = nullptr;
}}
"""
"""Loaded into tritonserver too. With AddressSanitizer a library of the wheel, p11-kit, waits for
ever in `freelocale` at the end of the process, before leaks are looked for."""
_NOT_OURS = """\
leak:triton::server::HTTPAPIServer::InferResponseAlloc
leak:evbuffer_new
leak:evbuffer_expand
"""
"""Triton 2.51 loses 64 bytes for each empty output that it sends in binary over HTTP, and now and
then a buffer of its HTTP server, of libevent."""
_SENDERS = 4
_LOADS = 200
"""Unloads and loads."""
_GRPC_TIMEOUT_S = 30.0
_END_S = 120.0


def sanitize(first: int, count: int) -> Iterator[dict[str, Any]]:
    """One line: what was answered to requests `first` to `count`, and what was reported.

    The second half of them is sent by gRPC. Raises `TrimaranError` with the reports where a
    sanitizer has any, the server ends by itself, or a good request is not answered afterwards.
    """
    with temporary_directory() as work:
        runtime = _runtime(find_compiler(), work)
        repository = Repository.create(work / "models")
        write_models(repository)
        server = Server.start(
            runtime, repository, repository.names(), free_ports(), work / "server.log"
        )
        try:
            server.wait_until_started()
            _require_good(server)
            line = _attack(server, range(first, count))
            _require_good(server)
            server.process.send(signal.SIGTERM)
            ended = server.process.wait(_END_S)
        finally:
            server.kill()
        reports = [path.read_text(errors="replace") for path in sorted(work.glob("report.*"))]
    lost = f"{_LOST} byte(s) leaked in 1 allocation(s)"
    if not ended or len(reports) != 1 or lost not in reports[0]:
        text = "\n".join(reports)
        raise TrimaranError(
            f"{text}\n{len(reports)} reports, where one of {lost} is due; tritonserver "
            f"{'ended' if ended else 'did not end'}"
        )
    yield line


def _runtime(compiler: Compiler, work: Path) -> Runtime:
    """The embedded server with the backend of this build, and with its sanitizers."""
    folder = work / "backends" / "onnxruntime"
    folder.mkdir(parents=True)
    print(f"compiling with {compiler.version}", file=sys.stderr)
    compile_backend(compiler, folder / LIBRARY, _FLAGS)
    own = find_runtime(onnx_backend=OnnxBackend.native)
    others = [each for each in own.arguments if not each.startswith("--backend-directory=")]
    command = [compiler.command, "-print-file-name=libasan.so"]
    sanitizer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    helper = work / "helper.so"
    command = [compiler.command, "-shared", "-fPIC", "-x", "c++", "-", "-o", str(helper)]
    subprocess.run(command, input=_HELPER, text=True, check=True)
    others_leaks = work / "suppressions"
    others_leaks.write_text(_NOT_OURS)
    options = f"log_path={work / 'report'}:print_stacktrace=1"
    return replace(
        own,
        arguments=(f"--backend-directory={folder.parent}", *others),
        environment={
            **own.environment,
            "LD_PRELOAD": f"{sanitizer}:{helper}",
            "ASAN_OPTIONS": f"{options}:detect_leaks=1",
            "LSAN_OPTIONS": f"suppressions={others_leaks}",
            "UBSAN_OPTIONS": options,
        },
    )


def _require_good(server: Server) -> None:
    """Raises `TrimaranError` where a good request of a model is not answered."""
    with Client(server.endpoint) as client:
        for subject in subjects():
            client.infer(subject.model, subject.row)


def _attack(server: Server, numbers: range) -> dict[str, Any]:
    """Send bad requests from several threads, and load the models again meanwhile."""
    drawn = subjects()
    half = len(numbers) // 2
    parts = {"http": (_send_http, numbers[:half]), "grpc": (_send_grpc, numbers[half:])}
    found: dict[str, Any] = {"requests": len(numbers), "loads": _LOADS}
    with ThreadPoolExecutor(_SENDERS + 1) as pool:
        reloading = pool.submit(_reload, server, drawn)
        for protocol, (send, mine) in parts.items():
            found[protocol] = Counter(pool.map(partial(send, server, drawn), mine))
        reloading.result()
    return found


def _send_http(server: Server, drawn: tuple[Subject, ...], number: int) -> str:
    return send_http(server.ports, draw_http(number, drawn))[0]


def _send_grpc(server: Server, drawn: tuple[Subject, ...], number: int) -> str:
    call = draw_grpc(number, drawn)
    with open_channel(server.endpoint) as channel:
        return call_grpc(channel, call.method, call.message, _GRPC_TIMEOUT_S)[0]


def _reload(server: Server, drawn: tuple[Subject, ...]) -> None:
    for number in range(_LOADS):
        name = drawn[number % len(drawn)].model
        with suppress(TrimaranError):  # a server that ended is reported afterwards
            server.control.unload(name)
        server.control.load(name)
