"""The canary of a retrained run, as `rollout.toml` says: options of `trimaran canary`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimaran.cli.traffic import canary, canary_order
from trimaran.cli.written_options import command_of, context_of, written_options
from trimaran.repository.repository import Repository
from trimaran.rollout.retrain_plan import Canary
from trimaran.rollout.traffic.orders import Order
from trimaran.rollout.traffic.predictions import check_goals
from trimaran.system.errors import UsageError

__all__ = ["planned_canary"]

_OWN = ("model", "release", "by", "deploy", "repository", "tritonserver")
"""What a retrained run says itself."""


def planned_canary(repository: Repository, name: str, plan: Canary, release: int) -> Order:
    """How a release of `name` is tried. Raises `UsageError` that says what is wrong.

    What it compares has to be known in the repository, as `check_goals` says.
    """
    where = f"rollout.toml, [{name}.retrain.canary]: "
    command = command_of(canary, "canary")
    given = written_options(command, plan.options, _OWN, where)
    params: Mapping[str, Any] = context_of(command, [name], given, where).params
    try:
        order = canary_order(
            name, release, **{key: value for key, value in params.items() if key not in _OWN}
        )
        check_goals(repository, name, order.plan, order.header)
    except UsageError as error:
        raise UsageError(f"{where}{error}") from None
    return order
