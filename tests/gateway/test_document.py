"""The gateway answers as `/openapi.json` says it does, whatever it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway import rounding
from tests.gateway.door import Door
from tests.running import PROJECT

SETTINGS = """
# Envoy knows the method QUERY, and itself refuses one without a content type, with 400.
[phases.coverage]
unexpected-methods = ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]

# What is JSON in a text cannot be said by a schema, so that an allowed text may be refused.
[[operations]]
include-name = "POST /models/churn_record/predict"
checks.positive_data_acceptance.enabled = false
"""


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_schemathesis_finds_nothing(door: Door, tmp_path: Path, seed: int) -> None:
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(SETTINGS)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", settings, "run"),
            *(f"https://{door.address}/openapi.json", "--no-color", "--workers", "2"),
            *("--header", f"Authorization: Bearer {door.token('infer:*', 'metadata')}"),
            *("--tls-verify", door.certificate),
            *("--max-examples", "200", "--seed", str(seed)),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONUTF8": "1",
            "PYTHONPATH": str(PROJECT),
            "SCHEMATHESIS_HOOKS": rounding.__name__,
        },
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert "9 passed" in ended.stdout
