"""`python -m proofs.onnx_backends`: the backends that serve ONNX models, side by side."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proofs.onnx_backends import main
from tests.programs import COMPILER, require
from trimaran.repository.repository import Repository


@pytest.mark.long
def test_the_command_prints_a_row_for_loads_and_for_each_protocol(
    capsys: pytest.CaptureFixture[str],
) -> None:
    require(COMPILER)
    status = main(["--turns", "2", "--duration", "200ms"])
    out, err = capsys.readouterr()
    if status == 2:  # too many invalid turns, on a busy machine
        assert "turns are invalid" in err
        return
    assert status == 0
    heads = ["native / python", "---", "small_network, unloaded and loaded"]
    rows = out.splitlines()
    assert [row.split("|")[1].strip() for row in rows] == [
        *heads,
        "small_network@http",
        "small_network@grpc",
    ]
    for row in rows[2:]:
        assert re.match(r"\|[^|]*\| \d+\.\d\d \(\d+\.\d\d to \d+\.\d\d\); [^|]* / ", row)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none"], "has no model 'none'"),
        (["none@tcp"], "there is no protocol 'tcp'"),
        (["--duration", "0s"], "--duration is '0s'"),
        (["--turns", "1"], "--turns is 1; an interval needs at least 2"),
    ],
)
def test_what_cannot_be_compared_is_said(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Repository.create(tmp_path / "models").root
    assert main([*arguments, "--repository", str(root)]) == 2
    assert words in capsys.readouterr().err
