"""The checklist that a run must pass before it is deployed, and the file of its answers.

```toml
[performance]
# Are the metrics good enough, and do they fit the purpose? F1 0.925 (0.891 to 0.957)
answer = "yes"              # yes, no or n/a
note = "above the goal of 0.92, also by its interval's middle"
```
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import parse_toml, refuse_unknown, value_of

__all__ = [
    "ANSWERS",
    "ITEMS",
    "Answer",
    "Answers",
    "parse_answers",
    "read_answer",
    "refused_items",
    "template",
]

ITEMS: Mapping[str, str] = {
    "performance": "Are the metrics good enough on rows that the model has not seen?",
    "overfitting": "Is it as good on unseen rows as on those that it was fitted to?",
    "bias": "Is it good enough for every group of rows, and are groups treated alike?",
    "features": "Are the features that decide plausible, allowed, and known at the time?",
    "goal": "Does it serve the business goal, better than what is live?",
    "readiness": "Is it ready to serve: latency, size, and an answer where values are missing?",
    "compliance": "Do law, contracts and the company's own rules allow this use of the data?",
}
"""What is asked, by name."""

ANSWERS = ("yes", "no", "n/a")
_LONGEST = 2000


@dataclass(frozen=True)
class Answer:
    """One of `ANSWERS`, and the reason for it."""

    answer: str
    note: str


Answers = Mapping[str, Answer]


def read_answer(name: str, answer: str, note: str, where: str = "") -> Answer:
    """An answer to one of `ITEMS`. Raises `TrimaranError` for a gap, and names it."""
    word, reason = answer.strip().lower(), " ".join(note.split())
    if word not in ANSWERS:
        found = f"the answer {answer!r}" if answer.strip() else "no answer"
        raise TrimaranError(f"{where}{name} has {found}; write {', '.join(ANSWERS)}")
    if not reason or len(reason) > _LONGEST or not reason.isprintable():
        raise TrimaranError(
            f"{where}{name} has no note; say why in a few words, at most {_LONGEST} characters"
        )
    return Answer(word, reason)


def parse_answers(text: str) -> Answers:
    """The answers in a TOML text. Raises `TrimaranError` that names the first gap."""
    document = parse_toml(text)
    refuse_unknown(document, ITEMS)
    answers = {}
    for name in ITEMS:
        table = value_of(document, name, dict, f"a table [{name}] with answer and note")
        if table is None:
            raise TrimaranError(f"{name} is not answered; add a table [{name}] with answer, note")
        where = f"[{name}]: "
        refuse_unknown(table, ("answer", "note"), where)
        answer, note = (
            value_of(table, key, str, "text", where) or "" for key in ("answer", "note")
        )
        answers[name] = read_answer(name, answer, note)
    return answers


def template(run: str, hints: Mapping[str, str]) -> str:
    """The file of answers to fill in, with what the run's figures say about each question."""
    lines = [f"# The review of {run}. Each answer is yes, no or n/a; each note says why."]
    for name, question in ITEMS.items():
        lines += ["", f"[{name}]", f"# {question}"]
        lines += [f"# {hint}" for hint in hints.get(name, "").splitlines()]
        lines += [f"answer = {json.dumps('')}", f"note = {json.dumps('')}"]
    return "\n".join(lines) + "\n"


def refused_items(answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The items that a review says no to, of a ledger's line."""
    return [name for name, each in answers.items() if each.get("answer") == "no"]
