"""What each line of a ledger means, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from trimaran.rollout.ledger import Entry

__all__ = ["clocks_set_back", "metric_text", "of_name", "told"]


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
    details = entry.details
    if entry.event == "begun":
        return f"began {entry.run}: {_begun(details)}"
    if entry.event == "compared":
        return f"compared {entry.run} with {details.get('live')}: {details.get('says', '')}"
    if entry.event == "finished":
        return f"finished {entry.run}: {metric_text(details)}, pending"
    if entry.event == "reviewed":
        return f"reviewed {entry.run}: {_answers(details)}"
    if entry.event == "approved":
        return f"approved {entry.run}"
    if entry.event == "ignored":
        return f"ignored {entry.run}: {details.get('why', '')}"
    if entry.event == "deploying":
        return f"began to deploy {entry.run}"
    if entry.event == "prepared":
        return f"prepared {entry.run}: {_parts(details)}"
    if entry.event == "deployed":
        frozen = ", and persisted it" if details.get("persist") else ""
        return f"deployed {entry.run}{frozen}"
    if entry.event == "failed":
        return f"did not deploy {entry.run}: {details.get('why', '')}"
    if entry.event == "clock":
        return f"noticed that the clock was set back; when {entry.run} is due counts from here"
    if entry.event == "live":
        how = details.get("how") or "found, as it was changed without this ledger"
        return f"release {details.get('release')} of {entry.run} is live: {how}"
    return f"{entry.event} {entry.run}"


def metric_text(details: Mapping[str, Any]) -> str:
    """The main metric with its interval: `F1 0.925 (0.891 to 0.957)`."""
    if details.get("value") is None:
        return "no outcomes known"
    text = f"{details['metric']} {details['value']:.3f}"
    interval = details.get("interval")
    return f"{text} ({interval[0]:.3f} to {interval[1]:.3f})" if interval else text


def _begun(details: Mapping[str, Any]) -> str:
    frozen = details.get("predicts_with")
    if frozen:
        return f"{frozen} predicts {details['data']}"
    again = details.get("again")
    return f"trains on {details['data']}" + (f" again, since {again}" if again else "")


def _answers(details: Mapping[str, Any]) -> str:
    answers = details.get("answers", {})
    no = [name for name, answer in answers.items() if answer.get("answer") == "no"]
    return f"no to {', '.join(no)}" if no else f"nothing against it in {len(answers)} questions"


def _parts(details: Mapping[str, Any]) -> str:
    return ", ".join(f"{model} {number}" for model, number in details.get("parts", {}).items())
