"""Mixed load for minutes, with deployments and rollbacks in it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from proofs.reliability.load import Load, read_good
from proofs.reliability.service import TRIMARAN, Service, until
from trimaran.repository.live import live_versions
from trimaran.repository.repository import Repository

__all__ = ["soak"]

MODELS = ("churn", "churn_record", "image_classifier")

_LOGGED = "churn_record"
_FLUSH_S = 10.0


def soak(repository: Repository, first: int, count: int, seconds: int) -> Iterator[dict[str, Any]]:
    """A line for each of `count` equal parts of `seconds`, with a deployment or a rollback in it.

    The clients stop at the end of a part, so that the prediction log can be compared with them.
    """
    goods = [read_good(repository, model) for model in MODELS]
    with Service(repository, "--log-predictions") as service:
        before = service.facts().record()
        for number in range(first, count):
            model = MODELS[number % 2]
            words = _words(repository, model, back=number % 4 > 1)
            rows, began = _rows(repository), time.monotonic()
            with Load(service.endpoint, goods) as load:
                time.sleep(seconds / count / 4)
                switched = time.monotonic()
                ended = subprocess.run(
                    [*TRIMARAN, *words, "--repository", str(repository.root)],
                    capture_output=True,
                    timeout=300,
                )
                switch_s = time.monotonic() - switched
                time.sleep(max(0.0, began + seconds / count - time.monotonic()))
            asked = [each for each in load.answers.all if each.model == _LOGGED]
            answered = sum(not each.problem for each in asked)
            until(partial(_has_rows, repository, rows + answered), _FLUSH_S)
            yield {
                "number": number,
                "command": " ".join(words),
                "done": ended.returncode == 0,
                "switch_s": round(switch_s, 2),
                "versions": sorted({a.version for a in load.answers.all if a.model == model}),
                "asked": len(asked),
                "logged": _rows(repository) - rows,
                "begin": before,
                "end": service.facts().record(),
                **load.answers.summary(),
            }


def _words(repository: Repository, model: str, *, back: bool) -> list[str]:
    """A rollback, or the deployment of another release or version than the live one."""
    if back:
        return ["rollback", model]
    live = live_versions(repository.live(model))
    numbers = [version.number for version in repository.versions(model)]
    return ["deploy", model, f"--release={max(n for n in numbers if (n,) != live)}"]


def _has_rows(repository: Repository, wanted: int) -> bool:
    return _rows(repository) >= wanted


def _rows(repository: Repository) -> int:
    """The lines of the prediction log."""
    directory = repository.state / "predictions" / _LOGGED
    return sum(path.read_bytes().count(b"\n") for path in directory.glob("*.jsonl"))
