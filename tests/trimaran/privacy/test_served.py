"""An erasure while a real server logs predictions and indexes them."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from tests.running import Served, repeating, wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.served.prediction_line import Keyed

GONE = "erased-1"
TOGETHER = 16


def score(served: Served, ids: list[str]) -> None:
    golden = served.repository.model("churn_record") / "golden" / "stays.json"
    (record,) = json.loads(golden.read_text())["inputs"]["RECORD"]["value"]
    inputs = {
        "customer_id": np.array([[each.encode()] for each in ids], dtype=object),
        "RECORD": np.array([[record.encode()]] * len(ids), dtype=object),
    }
    with served.client() as client:
        client.infer("churn_record", inputs)


@contextmanager
def others_scored(served: Served) -> Iterator[list[str]]:
    """The ids of other people whose predictions were answered; more come during the block."""
    answered: list[str] = []

    def go_on(over: threading.Event) -> None:
        while not over.is_set():
            ids = [f"other-{len(answered) + row}" for row in range(TOGETHER)]
            score(served, ids)
            answered.extend(ids)

    with repeating(go_on):
        yield answered


def test_an_erasure_beside_a_server_takes_one_person_and_loses_nobody(
    churn_served: Served,
) -> None:
    log = churn_served.repository.state / "predictions" / "churn_record"

    def erase() -> dict[str, int]:
        root = churn_served.repository.root
        called = call_trimaran("privacy", "erase", "--id", GONE, "--json", "--repository", root)
        assert called.status == 0, called.stderr
        removed = json.loads(called.stdout)["removed"]
        return {each["place"]: each["by_id"][GONE] for each in removed}

    def logged() -> list[str]:
        return [
            line.get("id", "")
            for path in sorted(log.glob("*.jsonl"))
            for line in map(json.loads, path.read_text().splitlines())
        ]

    score(churn_served, [GONE] * 3)
    masked = Keyed.of(log).masked(GONE)
    wait_for(lambda: indexed(log, masked) == 3, 20, "the index of the predictions")
    with others_scored(churn_served) as answered:
        wait_for(lambda: answered, 20, "an answer")
        for again in range(1, 4):
            before = len(answered)
            removed = erase()
            assert removed["predictions/churn_record"] == 3
            wait_for(lambda: len(answered) > before, 20, "an answer during the erasure")  # noqa: B023
            assert masked not in logged()
            assert indexed(log, masked) == 0
            if again < 3:
                score(churn_served, [GONE] * 3)
                wait_for(lambda: logged().count(masked) == 3, 20, "the log's lines")
    keyed = Keyed.of(log)
    expected = {keyed.masked(each) for each in answered}
    wait_for(lambda: expected <= set(logged()), 20, "the lines of the others")
    assert sum(each in expected for each in logged()) == len(answered)
    newest = keyed.masked(answered[-1])
    wait_for(lambda: indexed(log, newest) == 1, 20, "the index of the last one")
    assert indexed(log, masked) == 0
    told = feedback(churn_served, GONE)
    assert told == "unknown"


def indexed(log: Path, masked: str) -> int:
    with closing(sqlite3.connect(log / "outcomes.sqlite", timeout=10)) as database:
        (count,) = database.execute(
            "SELECT count(*) FROM predictions WHERE id = ?", [masked]
        ).fetchone()
    return int(count)


def feedback(served: Served, name: str) -> str:
    """The status of an outcome of an id."""
    inputs = {"id": np.array([[name.encode()]], dtype=object), "outcome": np.array([[True]])}
    with served.client() as client:
        status: bytes = client.infer("churn_feedback", inputs).outputs["status"][0, 0]
    return status.decode()
