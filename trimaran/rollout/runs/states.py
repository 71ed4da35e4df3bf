"""The states of a run, and the one function that says how it moves.

| state | a run that |
|---|---|
| `unfinished` | began, and goes on or was interrupted |
| `pending` | is finished, and waits for a decision |
| `deployed` | is live; the next run trains again |
| `persisted` | is live, and frozen: the next run predicts with it, and trains nothing |
| `replaced` | was live, and another one is now |
| `ignored` | is not to be deployed, for good |
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from trimaran.system.errors import TrimaranError

__all__ = ["LIVE", "Move", "State", "moved"]


class State(StrEnum):
    """Where a run is in its life."""

    UNFINISHED = "unfinished"
    PENDING = "pending"
    DEPLOYED = "deployed"
    PERSISTED = "persisted"
    REPLACED = "replaced"
    IGNORED = "ignored"


class Move(StrEnum):
    """What happens to a run."""

    FINISH = "finish"
    REVIEW = "review"
    APPROVE = "approve"
    DEPLOY = "deploy"
    PERSIST = "persist"
    IGNORE = "ignore"
    REPLACE = "replace"
    """Another run, or none, became live in its place."""
    RETURN = "return"
    """A rollback made it live again."""
    RETURN_PERSISTED = "return persisted"
    """The same, of one that was persisted."""


LIVE = frozenset({State.DEPLOYED, State.PERSISTED})
"""The states of a run that is served."""

_MOVES: Mapping[tuple[State, Move], State] = {
    (State.UNFINISHED, Move.FINISH): State.PENDING,
    (State.PENDING, Move.REVIEW): State.PENDING,
    (State.PENDING, Move.APPROVE): State.PENDING,
    (State.PENDING, Move.DEPLOY): State.DEPLOYED,
    (State.PENDING, Move.PERSIST): State.PERSISTED,
    (State.PENDING, Move.IGNORE): State.IGNORED,
    (State.DEPLOYED, Move.REPLACE): State.REPLACED,
    (State.PERSISTED, Move.REPLACE): State.REPLACED,
    (State.REPLACED, Move.RETURN): State.DEPLOYED,
    (State.REPLACED, Move.RETURN_PERSISTED): State.PERSISTED,
}
_DONE = {
    Move.FINISH: "finished",
    Move.REVIEW: "reviewed",
    Move.APPROVE: "approved",
    Move.DEPLOY: "deployed",
    Move.PERSIST: "deployed",
    Move.IGNORE: "ignored",
    Move.REPLACE: "replaced",
    Move.RETURN: "made live again",
    Move.RETURN_PERSISTED: "made live again",
}
_NEEDED = {Move.FINISH: "an unfinished", Move.REPLACE: "a live"}
_RETURNS = (Move.RETURN, Move.RETURN_PERSISTED)


def moved(run: str, state: State, move: Move) -> State:
    """The state of a run after a move. Raises `TrimaranError` for one that it cannot make."""
    after = _MOVES.get((state, move))
    if after is None:
        needed = "a replaced" if move in _RETURNS else _NEEDED.get(move, "a pending")
        first = f"finish it with 'trimaran run {run.partition('/')[0]}'"
        remedy = first if state is State.UNFINISHED else _remedy(run)
        raise TrimaranError(
            f"{run} is {state}, and only {needed} run can be {_DONE[move]}; {remedy}"
        )
    return after


def _remedy(run: str) -> str:
    name = run.partition("/")[0]
    return f"see 'trimaran runs {name}', or make another with 'trimaran run {name}'"
