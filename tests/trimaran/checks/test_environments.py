"""A Python model's environment is there, and of a kind that Triton unpacks."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tests.trimaran.checks.judging import SOURCE, found, judged

PYTHON = """
backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
parameters { key: "EXECUTION_ENV_PATH" value { string_value: "%s" } }
"""
HERE = "$$TRITON_MODEL_DIRECTORY"


def packed(*names: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return file.getvalue()


ENVIRONMENT = packed("lib/site.py", "bin/activate")


@pytest.mark.parametrize(
    ("path", "files"),
    [
        (f"{HERE}/env.tar", {"m/env.tar": ENVIRONMENT}),
        (f"{HERE}/1/env.tar.gz", {"m/1/env.tar.gz": gzip.compress(ENVIRONMENT)}),
        (f"{HERE}/../env.tar.gz", {"env.tar.gz": gzip.compress(ENVIRONMENT)}),
        (f"{HERE}/env", {"m/env/bin/activate": b""}),
    ],
)
def test_an_environment_that_is_there(path: str, files: dict[str, bytes], tmp_path: Path) -> None:
    model = {"m/config.pbtxt": PYTHON % path, "m/1/model.py": SOURCE}
    assert found(judged(tmp_path, {**model, **files})) == []


@pytest.mark.parametrize(
    ("path", "files", "problem"),
    [
        (f"{HERE}/env.tar.gz", {}, "is missing"),
        ("/nowhere/env.tar.gz", {}, "is missing"),
        ("env.tar.gz", {}, "is missing"),
        (f"{HERE}/env", {"m/env/bin/python": b""}, "has no bin/activate"),
        (f"{HERE}/env.zip", {"m/env.zip": b"PK\x05\x06"}, "is not a tar archive"),
        (f"{HERE}/env.tar", {"m/env.tar": b""}, "is not a tar archive"),
        (f"{HERE}/env.tar", {"m/env.tar": packed("bin/python")}, "has no bin/activate"),
        (f"{HERE}/env.tar", {"m/env.tar": ENVIRONMENT[:700]}, "has no bin/activate"),
        (
            f"{HERE}/env.tar.gz",
            {"m/env.tar.gz": gzip.compress(ENVIRONMENT)[:60]},
            "is cut short or damaged",
        ),
    ],
)
def test_an_environment_that_is_none(
    path: str, files: dict[str, bytes], problem: str, tmp_path: Path
) -> None:
    model = {"m/config.pbtxt": PYTHON % path, "m/1/model.py": SOURCE}
    findings = found(judged(tmp_path, {**model, **files}))
    assert [item[:3] for item in findings] == [
        ("error", "m/config.pbtxt", "parameters.EXECUTION_ENV_PATH")
    ]
    assert f"EXECUTION_ENV_PATH {path} {problem}" in findings[0][3]


def test_a_path_that_depends_on_where_the_server_starts(tmp_path: Path) -> None:
    files = {
        "m/config.pbtxt": PYTHON % "env.tar",
        "m/1/model.py": SOURCE,
        "env.tar": ENVIRONMENT,
    }
    assert [item[0] for item in found(judged(tmp_path, files))] == ["warning"]
