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
from pathlib import Path
from typing import Any

from trimaran.system.errors import TrimaranError
from trimaran.system.toml_text import parse_toml, read_utf8, refuse_unknown, value_of

__all__ = [
    "ANSWERS",
    "ITEMS",
    "Answer",
    "Answers",
    "Question",
    "answers_at",
    "parse_answers",
    "read_answer",
    "read_answers",
    "reason_of",
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


@dataclass(frozen=True)
class Question:
    """What is asked about an item, and what the run's figures say; that may be several lines."""

    question: str
    hint: str = ""


def read_answer(name: str, answer: str, note: str, where: str = "") -> Answer:
    """An answer to one of `ITEMS`. Raises `TrimaranError` for a gap, and names it."""
    word = answer.strip().lower()
    if word not in ANSWERS:
        found = f"the answer {answer!r}" if answer.strip() else "no answer"
        raise TrimaranError(f"{where}{name} has {found}; write {', '.join(ANSWERS)}")
    return Answer(word, reason_of(note, f"{where}{name} has"))


def reason_of(text: str, where: str) -> str:
    """A reason as one line. Raises `TrimaranError`, which begins with `where`, for none."""
    reason = " ".join(text.split())
    if not reason:
        raise TrimaranError(f"{where} no note; say why in a few words")
    if len(reason) > _LONGEST:
        raise TrimaranError(
            f"{where} a note of {len(reason):,} characters; {_LONGEST:,} are the most"
        )
    if not reason.isprintable():
        raise TrimaranError(f"{where} a note with characters that cannot be shown; remove them")
    return reason


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


def read_answers(path: Path) -> Answers:
    """The answers in a TOML file. Raises `TrimaranError` that names the first gap."""
    try:
        return parse_answers(read_utf8(path))
    except TrimaranError as error:
        raise TrimaranError(f"{path}: {error}") from None


def answers_at(given: Answers | Path) -> Answers:
    """The answers in a file, or those that are given, checked. Raises `TrimaranError`."""
    if isinstance(given, Path):
        return read_answers(given)
    refuse_unknown(given, ITEMS)
    for name in ITEMS:
        if name not in given:
            raise TrimaranError(f"{name} is not answered; add an Answer for it")
    return {name: read_answer(name, given[name].answer, given[name].note) for name in ITEMS}


def template(run: str, questions: Mapping[str, Question]) -> str:
    """The file of answers to fill in, with what the run's figures say about each question."""
    lines = [f"# The review of {run}. Each answer is yes, no or n/a; each note says why."]
    for name, each in questions.items():
        lines += ["", f"[{name}]", f"# {each.question}"]
        lines += [f"# {hint}" for hint in each.hint.splitlines()]
        lines += [f"answer = {json.dumps('')}", f"note = {json.dumps('')}"]
    return "\n".join(lines) + "\n"


def refused_items(answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The items that a review says no to, of a ledger's line."""
    return [name for name, each in answers.items() if each.get("answer") == "no"]
