"""Bad requests, and loads and unloads beside them, against a build with sanitizers.

    python -m proofs.sanitizers --requests 2000 --loads 200

Exit status 1 where a sanitizer reports anything, a leak at the end included, the server ends by
itself, or a good request is not answered afterwards. One allocation is lost on purpose, so that the
search for leaks is known to have run.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from proofs.reliability.fuzz import send_http
from proofs.reliability.grpc_requests import draw_grpc
from proofs.reliability.http_requests import Subject, draw_http
from proofs.reliability.load import call_grpc, open_channel
from proofs.sanitizers.models import subjects, write_models
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client
from trimaran.serving.native.building import LIBRARY, compile_backend
from trimaran.serving.runtime import OnnxBackend, Runtime, find_runtime
from trimaran.serving.server import Server
from trimaran.system.compiler import Compiler, find_compiler
from trimaran.system.errors import TrimaranError
from trimaran.system.files import temporary_directory
from trimaran.system.ports import free_ports

__all__ = ["main"]

_FLAGS = (
    "-std=c++17",
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
    "-D_GLIBCXX_ASSERTIONS",
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
_NOT_OURS = "leak:triton::server::HTTPAPIServer::InferResponseAlloc\n"
"""Triton 2.51 loses 64 bytes for each empty output that it sends in binary over HTTP."""
_SENDERS = 4
_GRPC_TIMEOUT_S = 30.0
_END_S = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="python -m proofs.sanitizers", description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="bad requests by each protocol")
    parser.add_argument("--loads", type=int, default=200, help="unloads and loads")
    given = parser.parse_args(arguments)
    with temporary_directory() as work:
        runtime = _runtime(find_compiler(), work)
        repository = Repository.create(work / "models")
        write_models(repository)
        server = Server.start(
            runtime, repository, repository.names(), free_ports(), work / "server.log"
        )
        ended = False
        try:
            server.wait_until_started()
            _require_good(server)
            _attack(server, given.requests, given.loads)
            _require_good(server)
            server.process.send(signal.SIGTERM)
            ended = server.process.wait(_END_S)
        except TrimaranError as error:
            print(f"error: {error}", file=sys.stderr)
        finally:
            server.kill()
        reports = [path.read_text(errors="replace") for path in sorted(work.glob("report.*"))]
    print("\n".join(reports))
    clean = len(reports) == 1 and f"{_LOST} byte(s) leaked in 1 allocation(s)" in reports[0]
    print(
        "nothing is reported but the allocation that is lost on purpose"
        if clean and ended
        else f"{len(reports)} reports; tritonserver {'ended' if ended else 'did not end'}"
    )
    return int(not (clean and ended))


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
    for subject in subjects():
        with Client(server.endpoint) as client:
            client.infer(subject.model, subject.row)


def _attack(server: Server, requests: int, loads: int) -> None:
    """Send bad requests from several threads, and load the models again meanwhile."""
    drawn = subjects()
    with ThreadPoolExecutor(_SENDERS + 1) as pool:
        reloading = pool.submit(_reload, server, drawn, loads)
        for protocol, send in (("HTTP", _send_http), ("gRPC", _send_grpc)):
            answered = pool.map(lambda n, send=send: send(server, drawn, n), range(requests))
            counts = sorted(Counter(answered).items(), key=lambda item: -item[1])
            shown = ", ".join(f"{status} {count}" for status, count in counts)
            print(f"{requests} bad requests over {protocol}: {shown}")
        print(f"{reloading.result()} unloads and loads")


def _send_http(server: Server, drawn: tuple[Subject, ...], number: int) -> str:
    return send_http(server.ports, draw_http(number, drawn))[0]


def _send_grpc(server: Server, drawn: tuple[Subject, ...], number: int) -> str:
    call = draw_grpc(number, drawn)
    with open_channel(server.endpoint) as channel:
        return call_grpc(channel, call.method, call.message, _GRPC_TIMEOUT_S)[0]


def _reload(server: Server, drawn: tuple[Subject, ...], count: int) -> int:
    for number in range(count):
        name = drawn[number % len(drawn)].model
        with suppress(TrimaranError):  # the end of the server is told at the end
            server.control.unload(name)
        server.control.load(name)
    return count


if __name__ == "__main__":
    sys.exit(main())
