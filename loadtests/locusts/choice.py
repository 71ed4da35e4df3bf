"""The options that this project adds to Locust, and the requests that they choose."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtests.locusts.calls import PROTOCOLS, Call, encode, in_turn, read_calls, refusal_of
from loadtests.subject import Service, find_service
from trimaran.cli.address import TOKEN_VARIABLE
from trimaran.cli.options import DEFAULT_REPOSITORY
from trimaran.repository.config import ModelConfig, is_ensemble
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.ports import Ports

__all__ = [
    "CALLS_NAME",
    "DEFAULT_TIMEOUT_S",
    "ROWS",
    "Choice",
    "add_arguments",
    "calls_by_protocol",
    "chosen_configs",
]

DEFAULT_TIMEOUT_S = 10.0
CALLS_NAME = "calls.json"
ROWS = 64
"""Rows drawn for each model."""


@dataclass(frozen=True)
class Choice:
    """The server, the models (by default all served ensembles), and what is sent."""

    endpoint: Endpoint
    models: tuple[str, ...] = ()
    protocols: tuple[str, ...] = PROTOCOLS
    seed: int = 0
    payloads: Path | None = None
    rate: float | None = None
    """Requests per second, of all users together."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    patience_s: float | None = None
    """For how long there may be only failures; `None` forever."""
    repository: Path = DEFAULT_REPOSITORY
    """Where the models were published, if it is there, to make up records of their table."""
    directory: Path | None = None
    """Where `trimaran locust` left the requests, and where exact times go."""

    @classmethod
    def of(cls, options: Namespace | None, host: str | None) -> Choice:
        """From Locust's options, which may come from its web page. Raises `UsageError`."""
        given = {} if options is None else vars(options)

        def number(name: str) -> float | None:
            return _positive(name, given.get(name))

        names = str(given.get("model") or "").split(",")
        protocol = str(given.get("protocol") or "all")
        payloads, directory = given.get("payloads"), given.get("run_directory")
        return cls(
            endpoint=_endpoint(host, given.get("grpc_port"), given.get("ca")),
            models=tuple(name.strip() for name in names if name.strip()),
            protocols=PROTOCOLS if protocol == "all" else (protocol,),
            seed=_seed(given.get("payload_seed")),
            payloads=Path(payloads) if payloads else None,
            rate=number("target_rate"),
            timeout_s=number("request_timeout") or DEFAULT_TIMEOUT_S,
            patience_s=number("give_up_after"),
            repository=Path(given.get("repository") or DEFAULT_REPOSITORY),
            directory=Path(directory) if directory else None,
        )


def add_arguments(parser: Any) -> None:
    """Add this project's options to Locust's parser; its web page shows them too."""
    group = parser.add_argument_group("Triton options")
    group.add_argument(
        "--model",
        metavar="<names>",
        default="",
        help="Models to ask, separated by commas. Default: every ensemble that the server serves.",
    )
    parser.add_argument(
        "--protocol",
        choices=["all", *PROTOCOLS],
        default="all",
        include_in_web_ui=False,
        help="http (binary tensors), json or grpc. Default: users of all three.",
    )
    group.add_argument(
        "--grpc-port", type=int, metavar="<port>", default=8001, help="Default: 8001."
    )
    parser.add_argument(
        "--ca",
        metavar="<path>",
        default="",
        include_in_web_ui=False,
        help="CA certificate of an https host. Default: those of the system.",
    )
    group.add_argument(
        "--payload-seed",
        type=int,
        metavar="<int>",
        default=0,
        help="Decides which photographs and records are sent. Default: 0.",
    )
    group.add_argument(
        "--payloads",
        metavar="<path>",
        default="",
        help="Rows to send instead: an .npz, .json or .jsonl file, or a directory of files.",
    )
    parser.add_argument(
        "--repository",
        metavar="<path>",
        default="",
        env_var="TRIMARAN_REPOSITORY",
        include_in_web_ui=False,
        help="Where the models were published, to make up records. Default: model_repository.",
    )
    group.add_argument(
        "--target-rate",
        type=float,
        metavar="<float>",
        default=0.0,
        help="Requests per second of all users together; 0 for as many as are answered.",
    )
    group.add_argument(
        "--request-timeout",
        type=float,
        metavar="<seconds>",
        default=DEFAULT_TIMEOUT_S,
        help=f"After this time a request has failed. Default: {DEFAULT_TIMEOUT_S:g}.",
    )
    group.add_argument(
        "--give-up-after",
        type=float,
        metavar="<seconds>",
        default=0.0,
        help="End the test after so long with only failures; 0 for never.",
    )
    parser.add_argument(
        "--run-directory",
        metavar="<path>",
        default="",
        include_in_web_ui=False,
        help="Where 'trimaran locust' leaves the requests and finds their times.",
    )


def chosen_configs(choice: Choice) -> list[ModelConfig]:
    """The models to ask: those named, or every ensemble that is served.

    Raises `TrimaranError` where one is missing or not ready, or no ensemble is served.
    """
    service = _service(choice)
    if choice.models:
        return [service.config(name) for name in choice.models]
    ready = sorted({item.name for item in service.control.index() if item.state == "READY"})
    configs = [service.config(name) for name in ready]
    ensembles = [config for config in configs if is_ensemble(config)]
    if not ensembles:
        raise TrimaranError(
            f"the server at {choice.endpoint} serves no ensemble; name "
            f"models with --model: it serves {', '.join(ready) or 'none'}"
        )
    return ensembles


def calls_by_protocol(choice: Choice) -> Mapping[str, Sequence[Call]]:
    """Requests to all chosen models in turn, by protocol; the first of each was answered.

    What `trimaran locust` prepared is sent unchanged. Raises `TrimaranError` with the server's
    message where it refuses a request.
    """
    if choice.directory is not None:
        calls = read_calls(choice.directory / CALLS_NAME)
        return {choice.protocols[0]: calls}
    # Tables and photographs take a second to import, and a prepared run needs neither.
    from loadtests.payloads import choose_rows, refused_payloads

    found = {}
    published = _service(choice).published
    how: dict[str, Any] = {"count": ROWS, "seed": choice.seed, "given": choice.payloads}
    drawn = [
        (config.name, choose_rows(config, **how, repository=published))
        for config in chosen_configs(choice)
    ]
    for protocol in choice.protocols:
        by_model = [[encode(protocol, name, row) for row in rows.rows] for name, rows in drawn]
        for (name, rows), calls in zip(drawn, by_model, strict=True):
            if words := refusal_of(calls[0], choice.endpoint, choice.timeout_s):
                raise refused_payloads(f"{name}@{protocol}", rows.source, words)
        found[protocol] = in_turn(by_model)
    return found


def _endpoint(host: str | None, grpc_port: Any, ca: Any) -> Endpoint:
    """Locust's host. Without TLS, gRPC has a port of its own, and a token stays on this machine."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if (host or "").startswith("https://"):
        return Endpoint.at(str(host), Path(ca) if ca else None, token, named="--host")
    parts = urlsplit(host or "")
    try:
        port = parts.port or 8000
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--host is {host!r}; give the server's address as http://HOST:PORT"
        ) from None
    plain = Endpoint.of(Ports(parts.hostname, port, int(grpc_port or 8001)))
    if not token or not plain.is_local:
        return plain
    return replace(plain, headers=Endpoint.at(plain.url(), token=token).headers)


def _positive(name: str, value: Any) -> float | None:
    """The number of an option, `None` where it is missing or 0."""
    try:
        number = float(value or 0)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UsageError(f"--{name.replace('_', '-')} is {value}; give a number above 0")
    return number or None


def _seed(value: Any) -> int:
    seed = int(value or 0)
    if seed < 0:
        raise UsageError(f"--payload-seed is {seed}; a seed is 0 or more")
    return seed


def _service(choice: Choice) -> Service:
    return find_service(choice.repository, choice.endpoint)
