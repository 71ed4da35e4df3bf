"""`trimaran add` called in a test, and what came of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from onnx import TensorProto

from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.repository.config import inputs_of, outputs_of
from trimaran.repository.repository import Repository

AFFINE = ("--input", "image:FP32[-1,3]", "--input", "scale:FP32[-1,1]")
FLOAT = TensorProto.FLOAT


def add(repository: Repository, path: Path, *options: str | Path) -> Outcome:
    return call_trimaran("add", path, *options, "--repository", repository.root)


def tensors(repository: Repository, name: str) -> list[str]:
    config = repository.config(name)
    return [str(tensor) for tensor in (*inputs_of(config), *outputs_of(config))]


def zip_of(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"model/{name.replace('__', '/').replace('_pkl', '.pkl')}", content)
    return path
