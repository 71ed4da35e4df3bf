"""`python -m trimaran`: the command, by the interpreter that runs it."""

from __future__ import annotations

from trimaran.cli.main import run

run()
