"""The steps of a long command are kept whole or not at all."""

from __future__ import annotations

from pathlib import Path

from trimaran.system.journal import Journal


def test_a_journal_keeps_finished_steps_and_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "there" / "steps.jsonl"
    result = {"load_s": [1.5], "p99": float("inf")}
    Journal(path).add("a", result)
    with path.open("a") as file:
        file.write('{"step": "b", "resu')
    again = Journal(path)
    assert (again.get("a"), again.get("b")) == (result, None)
    again.add("b", result)
    assert [Journal(path).get(step) for step in ("a", "b", "c")] == [result, result, None]
