"""Damaged files end in one sentence: never a traceback, never a crash, never half a version."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from exporters.adding import Wish, add_file
from exporters.artifacts.declared import parse_declared
from tests.exporters import model_files as files
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError

INPUTS = parse_declared("--input", ["image:FP32[-1,3]", "scale:FP32[-1,1]"])
TRIES = 60


def damaged(content: bytes, generator: random.Random) -> bytes:
    """Cut short, or with a few bytes replaced."""
    if generator.random() < 0.3:
        return content[: generator.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(generator.choice([1, 2, 4, 16])):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize(
    ("make", "wish"),
    [
        (lambda path: files.write(files.weighted(), path), Wish("m")),
        (lambda path: files.write_beside(files.weighted(), path), Wish("m")),
        (lambda path: files.write_script(files.Affine(), path), Wish("m", INPUTS)),
    ],
    ids=["onnx", "onnx_external", "torchscript"],
)
def test_damaged_files_are_refused_in_one_sentence_or_served(
    empty_repository: Repository, tmp_path: Path, make: Callable[[Path], Path], wish: Wish
) -> None:
    path = make(tmp_path / "model")
    content, generator = path.read_bytes(), random.Random(0)
    refusals, published = [], 0
    for _ in range(TRIES):
        path.write_bytes(damaged(content, generator))
        try:
            add_file(path, empty_repository, wish)
        except TrimaranError as error:
            refusals.append(str(error))
            continue
        published += 1
    assert TRIES / 2 < len(refusals) < TRIES
    assert not [sentence for sentence in refusals if "\n" in sentence or "; " not in sentence]
    assert len(empty_repository.versions("m")) <= published
    assert all(version.problem is None for version in empty_repository.versions("m"))
