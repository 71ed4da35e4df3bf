"""`trimaran serve`: a supervised server in the foreground."""

from __future__ import annotations

import ipaddress
import os
from contextlib import ExitStack
from typing import Annotated

import typer

from trimaran.checks.raising import checked_config
from trimaran.cli.options import DEFAULT_REPOSITORY, LogFormatName, RepositoryPath, Tritonserver
from trimaran.cli.service import Service
from trimaran.repository.presence import check_server_name, server_of_name
from trimaran.repository.repository import Repository
from trimaran.rollout.selection import Selection
from trimaran.serving.control import LOAD_TIMEOUT, load_timeout_s
from trimaran.serving.hangs import HANG_TIMEOUT_S
from trimaran.serving.remains import end_orphan
from trimaran.serving.runtime import ONNX_BACKEND, OnnxBackend, Runtime, find_runtime
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.http_server import is_loopback
from trimaran.system.logging import LogFormat, configure_logging, logger
from trimaran.system.ports import Ports, require_free
from trimaran.system.processes import interrupt_once

__all__ = ["serve"]

PREDICTIONS = "TRIMARAN_PREDICTIONS"
"""The environment variable that says where models log predictions; without it they do not."""

_log = logger("serve")

_LONGEST_HANG_S = 1_000_000
_LONGEST_DRAIN_S = 3600


def serve(
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model or ensemble to serve; repeatable. Default: all."),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            help="Name of this server, to run beside others on the same repository.",
        ),
    ] = "",
    port_offset: Annotated[
        int,
        typer.Option(metavar="N", help="Number to add to each of the four ports."),
    ] = 0,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the embedded server takes loopback only.")
    ] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(help="Port for HTTP.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="Port for gRPC.")] = 8001,
    metrics_port: Annotated[int, typer.Option(help="Port for Triton's metrics.")] = 8002,
    supervisor_port: Annotated[
        int, typer.Option(help="Port for the supervisor's metrics of stubs and loads.")
    ] = 8003,
    tritonserver: Tritonserver = None,
    onnx_backend: Annotated[
        OnnxBackend | None,
        typer.Option(
            help="What serves ONNX models on the embedded server: native is compiled once, by the "
            "machine's C++ compiler; auto is native where there is one, and else python. "
            f"Default: ${ONNX_BACKEND}, or auto."
        ),
    ] = None,
    quantiles: Annotated[
        bool, typer.Option(help="Add latency quantiles to the metrics; costs some throughput.")
    ] = False,
    cache_mb: Annotated[
        int,
        typer.Option(
            help="Size of the response cache in MB, for models that enable it; 0 for none."
        ),
    ] = 0,
    log_predictions: Annotated[
        bool, typer.Option(help="Log predictions next to the repository, for live accuracy.")
    ] = False,
    shared_memory: Annotated[
        bool, typer.Option(help="Let every client register shared memory, not only trimaran.")
    ] = False,
    load_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help=f"How long a model may load before the others are reported without it. "
            f"Default: {LOAD_TIMEOUT}, or 300.",
        ),
    ] = None,
    hang_timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="How long a model may work on the same requests before its process is killed, "
            "and the model healed; 0 for ever.",
        ),
    ] = HANG_TIMEOUT_S,
    drain: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="How long to answer requests after SIGTERM or Ctrl-C, while GET /ready on the "
            "supervisor's port is 503 already, so that a balancer sends no more.",
        ),
    ] = 0.0,
    log_format: LogFormatName = LogFormat.text,
) -> None:
    """Run tritonserver on a repository until interrupted, and reload models whose stub dies."""
    configure_logging(log_format)
    interrupt_once()
    if load_timeout is not None:
        os.environ[LOAD_TIMEOUT] = f"{load_timeout:g}"
    load_timeout_s()  # a wrong one is refused before anything starts
    if cache_mb < 0:
        raise UsageError(f"--cache-mb is {cache_mb}; give 0 for no cache, or a number of MB")
    if not 0 <= hang_timeout <= _LONGEST_HANG_S:
        raise UsageError(
            f"--hang-timeout is {hang_timeout:g}; give 0 to let stubs hang, or seconds up to "
            f"{_LONGEST_HANG_S}"
        )
    if not 0 <= drain <= _LONGEST_DRAIN_S:
        raise UsageError(
            f"--drain is {drain:g}; give 0 to end at once, or seconds up to {_LONGEST_DRAIN_S}"
        )
    if name:
        check_server_name(name)
    opened = Repository.open(repository)
    numbers = (http_port, grpc_port, metrics_port, supervisor_port)
    ports = Ports(host, *(number + port_offset for number in numbers))
    with ExitStack() as stack:
        stack.enter_context(server_of_name(opened, name))
        _require_address(host)
        end_orphan(opened, name)
        require_free(ports)
        runtime = find_runtime(tritonserver, onnx_backend)
        if runtime.note:
            _log.info(runtime.note)
        _require_allowed(runtime, host)
        options = ["--metrics-config=summary_latencies=true"] if quantiles else []
        options += [f"--cache-config=local,size={cache_mb * 2**20}"] if cache_mb else []
        environment = (
            {PREDICTIONS: str(opened.state.resolve() / "predictions")} if log_predictions else {}
        )
        service = Service(
            opened, runtime, ports, options, environment, shared_memory, hang_timeout, drain, name
        )
        selection = service.select(model or ())
        _require_something(opened, selection)
        for note in selection.notes:
            _log.warning(note)
        if log_predictions:
            _report_logged(opened, selection)
        try:
            service.run(selection, model or ())
        except KeyboardInterrupt:
            _log.info("stopped")


def _require_address(host: str) -> None:
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError as error:
            raise UsageError(f"--host {host!r} is not an address such as 127.0.0.1") from error


def _require_allowed(runtime: Runtime, host: str) -> None:
    if runtime.embedded and not is_loopback(host):
        raise UsageError(
            f"--host {host}: the embedded Triton {runtime.version} listens on loopback only, since "
            "it has known security holes; run 'trimaran gateway up' in front, or use NVIDIA's "
            "container"
        )


def _report_logged(repository: Repository, selection: Selection) -> None:
    """Say which models' answers are logged."""
    models = {*selection.promised, *(step for each in selection.steps.values() for step in each)}
    logged = {
        config.parameters["answers_of"].string_value or name
        for name, config in ((each, checked_config(repository, each)) for each in models)
        if "log_megabytes" in config.parameters
    }
    if logged:
        _log.info(f"answers are logged of {', '.join(sorted(logged))}")
    else:
        _log.warning(
            "--log-predictions logs nothing yet, since no model here has a step that logs its "
            "answers (docs/monitoring.md)"
        )


def _require_something(repository: Repository, selection: Selection) -> None:
    if not selection.promised:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in selection.problems)
        raise TrimaranError(
            f"{repository.root}: nothing can be served"
            + (f" ({reasons})" if reasons else "; publish a model with 'trimaran export'")
        )
