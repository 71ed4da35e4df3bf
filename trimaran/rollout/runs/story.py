"""What each line of a ledger means, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from trimaran.rollout.ledger import Entry

__all__ = ["canary_text", "clocks_set_back", "metric_text", "of_name", "told"]

Details = Mapping[str, Any]


def of_name(entries: Iterable[Entry], wanted: str) -> Iterator[Entry]:
    """The lines about a name, or about one run."""
    name = wanted.partition("/")[0]
    for entry in entries:
        of_run, mine = "/" in entry.run, entry.run.partition("/")[0]
        if mine == name and (wanted == name or not of_run or entry.run == wanted):
            yield entry


def clocks_set_back(entries: Iterable[Entry]) -> frozenset[int]:
    """The numbers of the lines whose time is before that of the line before them."""
    return frozenset(
        after.number for before, after in pairwise(entries) if after.time < before.time
    )


def told(entry: Entry) -> str:
    """What happened, in one clause."""
    say = _TOLD.get(entry.event)
    return f"{entry.event} {entry.run}" if say is None else say(entry.run, entry.details)


def metric_text(details: Details) -> str:
    """The main metric with its interval: `F1 0.925 (0.891 to 0.957)`."""
    if details.get("value") is None:
        return "no outcomes known"
    text = f"{details['metric']} {details['value']:.3f}"
    interval = details.get("interval")
    return f"{text} ({interval[0]:.3f} to {interval[1]:.3f})" if interval else text


def canary_text(details: Details) -> str:
    """What a canary said: `experiment churn/4: promote: Proven as the plan asks.`."""
    said = ": ".join(str(details.get(key)) for key in ("experiment", "verdict", "why"))
    return f"experiment {said}"


def _begun(run: str, details: Details) -> str:
    frozen = details.get("predicts_with")
    what = f"{frozen} predicts {details['data']}" if frozen else f"trains on {details['data']}"
    again = f" again, since {details['again']}" if "again" in details else ""
    return f"began {run}: {what}{again}"


def _reviewed(run: str, details: Details) -> str:
    answers = details.get("answers", {})
    no = [name for name, answer in answers.items() if answer.get("answer") == "no"]
    said = f"no to {', '.join(no)}" if no else f"nothing against it in {len(answers)} questions"
    return f"reviewed {run}: {said}"


def _prepared(run: str, details: Details) -> str:
    parts = [f"{model} {number}" for model, number in details.get("parts", {}).items()]
    return f"prepared {run}: {', '.join(parts)}"


def _live(name: str, details: Details) -> str:
    how = details.get("how") or "found, as it was changed without this ledger"
    return f"release {details.get('release')} of {name} is live: {how}"


_TOLD: Mapping[str, Callable[[str, Details], str]] = {
    "begun": _begun,
    "compared": lambda run, details: (
        f"compared {run} with {details.get('live')}: {details.get('says', '')}"
    ),
    "finished": lambda run, details: f"finished {run}: {metric_text(details)}, pending",
    "tried": lambda run, details: f"tried {run} on live traffic, {canary_text(details)}",
    "reviewed": _reviewed,
    "approved": lambda run, _: f"approved {run}",
    "ignored": lambda run, details: f"ignored {run}: {details.get('why', '')}",
    "deploying": lambda run, _: f"began to deploy {run}",
    "prepared": _prepared,
    "deployed": lambda run, details: (
        f"deployed {run}{', and persisted it' if details.get('persist') else ''}"
    ),
    "failed": lambda run, details: f"did not deploy {run}: {details.get('why', '')}",
    "clock": lambda name, _: (
        f"noticed that the clock was set back; when {name} is due counts from here"
    ),
    "live": _live,
}
"""By event; see `run.py` for what each says."""
