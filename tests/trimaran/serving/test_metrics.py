from __future__ import annotations

from pathlib import Path

import pytest

from trimaran.serving.metrics import LoadTimes, follow


def line(time: str, words: str) -> str:
    return f'I1122 {time} 15855 model_lifecycle.cc:472] "{words}"'


def test_a_load_is_from_its_beginning_to_the_success_of_all_its_versions() -> None:
    times = LoadTimes()
    times.read(
        [
            line("23:59:59.500000", "loading: m:1"),
            line("23:59:59.600000", "loading: m:2"),
            "W1122 23:59:59.700000 15855 something else",
            line("23:59:59.700000", "loading: other:1"),
        ]
    )
    assert times.seconds == {}
    times.read([line("00:00:01.000000", "successfully loaded 'm'")])
    assert times.seconds == {("m", 1): pytest.approx(1.5), ("m", 2): pytest.approx(1.4)}
    times.read([line("00:00:02.0", "loading: m:2"), line("00:00:02.5", "successfully loaded 'm'")])
    assert times.seconds["m", 2] == pytest.approx(0.5)


def test_a_log_is_followed_by_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    assert follow(log, 0) == ([], 0)
    log.write_text("one\ntw")
    assert follow(log, 0) == (["one"], 4)
    log.write_text("one\ntwo\n")
    assert follow(log, 4) == (["two"], 8)
    assert follow(log, 8) == ([], 8)


def test_a_log_that_was_begun_again_is_followed_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("new\n")
    assert follow(log, 1000) == (["new"], 4)


def test_a_line_without_end_is_read_once(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("y" * 100_000)
    assert follow(log, 0) == ([], 100_000)
