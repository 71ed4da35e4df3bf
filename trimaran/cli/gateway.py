"""`trimaran gateway up`, `check`, `config` and `token`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from trimaran.cli.options import DEFAULT_REPOSITORY, LogFormatName, RepositoryPath
from trimaran.repository.repository import Repository, check_model_name
from trimaran.system.durations import seconds_of
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.files import write_text
from trimaran.system.logging import LogFormat, configure_logging, logger
from trimaran.system.ports import is_own_address
from trimaran.system.processes import interrupt_once

if TYPE_CHECKING:
    from trimaran.gateway.run import Gateway

__all__ = ["check", "config", "token", "up"]

_log = logger("gateway")
_OWNER_ONLY = 0o600
_LONGEST_TOKEN_S = 90 * 86_400

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="What the gateway shall do. Default: gateway.toml in this folder, if there is one.",
    ),
]


def up(
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    config: _Config = None,
    log_format: LogFormatName = LogFormat.text,
) -> None:
    """Run Envoy in front of the servers until interrupted, and take over changes of its files."""
    from trimaran.gateway.run import run

    configure_logging(log_format)
    interrupt_once()
    try:
        run(Repository.open(repository), _file(config), _show)
    except KeyboardInterrupt:
        _log.info("stopped")


def check(repository: RepositoryPath = DEFAULT_REPOSITORY, config: _Config = None) -> None:
    """Check gateway.toml: its keys, models, certificates and issuers, and have Envoy judge it."""
    from trimaran.gateway.run import judged

    wanted = judged(Repository.open(repository), _file(config))
    print(
        f"sound: {len(wanted.models)} models, {len(wanted.servers)} servers, "
        f"{len(wanted.keys)} issuers, {len(wanted.settings.clients)} clients"
    )
    address = wanted.settings.listen.address
    if not is_own_address(address):
        print(f"it is for another machine: {address} is no address of this one")


def config(repository: RepositoryPath = DEFAULT_REPOSITORY, config: _Config = None) -> None:
    """Print the configuration that Envoy is given, as JSON, without secrets."""
    from trimaran.gateway.run import printed

    print(printed(Repository.open(repository), _file(config)), end="")


def token(
    model: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Models that the client may ask; '*' for all."),
    ] = None,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Let it read what models there are.")
    ] = False,
    admin: Annotated[bool, typer.Option("--admin", help="Let it load and unload models.")] = False,
    subject: Annotated[
        str, typer.Option(metavar="NAME", help="Who the client is, for limits and the audit log.")
    ] = "developer",
    lifetime: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long it is valid, such as 8h.")
    ] = "8h",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it there, for its owner only, not to the screen."),
    ] = None,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Print a token that this machine's own key signs; the key is made if there is none."""
    from trimaran.gateway.keys import SigningKey
    from trimaran.gateway.run import state_folder

    scopes = [f"infer:{_model(name)}" for name in model or ()]
    scopes += ["metadata"] if metadata else []
    scopes += ["admin"] if admin else []
    if not scopes:
        raise UsageError("a token needs a MODEL, '*' for all of them, --metadata or --admin")
    lifetime_s = seconds_of(lifetime, "--for")
    if not 1 <= lifetime_s <= _LONGEST_TOKEN_S:
        raise UsageError(f"--for is {lifetime!r}; a token is valid for at least 1s and at most 90d")
    if not subject.isascii() or not subject.isprintable() or not 0 < len(subject) <= 200:
        raise UsageError(f"--subject is {subject!r}; use up to 200 letters, digits and signs")
    key = SigningKey(state_folder(Repository.open(repository)))
    made = key.token(subject, scopes, lifetime_s)
    if output is None:
        print(made)
    else:
        write_text(output, f"{made}\n", _OWNER_ONLY)


def _model(name: str) -> str:
    if name != "*":
        check_model_name(name)
    return name


def _file(named: Path | None) -> Path | None:
    from trimaran.gateway.run import FILE

    if named is not None:
        if not named.is_file():
            raise TrimaranError(f"{named}: there is no such file; correct --config")
        return named
    found = Path(FILE)
    return found if found.is_file() else None


def _show(gateway: Gateway) -> None:
    """The table of routes and servers."""
    from trimaran.gateway.metrics import METRICS_HOST

    wanted = gateway.wanted
    settings = wanted.settings
    console = Console()
    address = f"https://{_host(settings.listen.address)}:{settings.listen.port}"
    console.print(f"listening at {address} for HTTP and gRPC; its certificate is")
    console.print(f"  {wanted.tls.certificate}", soft_wrap=True)
    console.print(f"metrics at http://{METRICS_HOST}:{settings.listen.metrics_port}/metrics")
    table = Table()
    for name in ("model", "plain REST", "requests/s", "at once", "body"):
        table.add_column(name, overflow="fold")
    for model in wanted.models:
        limits = settings.limits_of(model.name)
        table.add_row(
            model.name,
            f"/models/{model.name}/predict",
            str(limits.requests_per_second),
            str(limits.concurrent_requests),
            f"{limits.body_mb} MB",
        )
    console.print(table)
    for name, state in gateway.health.states.items():
        host, port = state.server.http
        console.print(f"server {name} at {host}:{port}: {state.problem or 'ready'}")
    if not wanted.servers:
        console.print("no server runs on the repository yet; start one with 'trimaran serve'")
    console.print("Press Ctrl-C to stop.")


def _host(address: str) -> str:
    if address in ("127.0.0.1", "::1", "0.0.0.0", "::"):  # noqa: S104 - what is printed
        return "localhost"
    return f"[{address}]" if ":" in address else address
