"""From what was asked to requests that a server answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtests.locusts.calls import Call, encode, in_turn, read_calls
from loadtests.locusts.choice import Choice
from loadtests.locusts.trial import try_call
from loadtests.subject.service import Service, find_service
from trimaran.repository.config import ModelConfig, is_ensemble
from trimaran.system.errors import TrimaranError

__all__ = ["CALLS_NAME", "ROWS", "calls_by_protocol", "chosen_configs"]

CALLS_NAME = "calls.json"
ROWS = 64
"""Rows drawn for each model."""


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
            f"the server at {choice.ports.host}:{choice.ports.http} serves no ensemble; name "
            f"models with --model: it serves {', '.join(ready) or 'none'}"
        )
    return ensembles


def calls_by_protocol(choice: Choice) -> Mapping[str, Sequence[Call]]:
    """Requests to all chosen models in turn, by protocol; one of each was answered.

    What `trimaran load` prepared is taken as it is. Raises `TrimaranError` with the server's words
    where it refuses what would be sent.
    """
    if choice.directory is not None:
        calls = read_calls(choice.directory / CALLS_NAME)
        return {choice.protocols[0]: calls}
    # Tables and photographs take a second to import, and a prepared run needs none.
    from loadtests.payloads.choosing import choose_rows

    found = {}
    drawn = [
        (config.name, choose_rows(config, count=ROWS, seed=choice.seed, given=choice.payloads))
        for config in chosen_configs(choice)
    ]
    for protocol in choice.protocols:
        by_model = [[encode(protocol, name, row) for row in rows.rows] for name, rows in drawn]
        for calls in by_model:
            try_call(calls[0], choice.ports, choice.timeout_s)
        found[protocol] = in_turn(by_model)
    return found


def _service(choice: Choice) -> Service:
    ports = choice.ports
    return find_service(Path(), ports.host, ports.http, ports.grpc)
