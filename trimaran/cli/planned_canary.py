"""The canary of a retrained run, as `rollout.toml` says: options of `trimaran canary`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimaran.cli.traffic import canary, canary_order
from trimaran.cli.written_options import command_of, context_of, written_options
from trimaran.rollout.retrain_plan import Canary
from trimaran.rollout.traffic.orders import Order
from trimaran.system.errors import UsageError

__all__ = ["planned_canary"]

_OWN = ("model", "release", "by", "deploy", "repository", "tritonserver")
"""What a retrained run says itself."""


def planned_canary(name: str, plan: Canary, release: int) -> Order:
    """How a release of `name` is tried. Raises `UsageError` that says what is wrong."""
    where = f"rollout.toml, [{name}.retrain.canary]: "
    command = command_of(canary, "canary")
    given = written_options(command, plan.options, _OWN, where)
    params: Mapping[str, Any] = context_of(command, [name], given, where).params
    try:
        return canary_order(
            name, release, **{key: value for key, value in params.items() if key not in _OWN}
        )
    except UsageError as error:
        raise UsageError(f"{where}{error}") from None
