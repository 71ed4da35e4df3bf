"""The log of commands that run long: on standard error, as text or JSON."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest

from trimaran.system.logging import LogFormat, configure_logging, logger


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger("trimaran")
    before = list(root.handlers), root.level, root.propagate
    yield
    root.handlers[:], root.level, root.propagate = before


def test_a_line_has_time_level_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogFormat.text)
    logger("serve").warning("a stub died")
    logger("serve").debug("nothing to see")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARNING a stub died\n", shown.err)


def test_a_line_of_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogFormat.text)
    configure_logging(LogFormat.json)  # replaces the other
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger("monitor").exception("größer")
    record = json.loads(capsys.readouterr().err)
    assert record["level"] == "ERROR"
    assert record["logger"] == "trimaran.monitor"
    assert record["message"] == "größer"
    assert record["exception"].endswith("ValueError: two\nlines")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", record["time"])
