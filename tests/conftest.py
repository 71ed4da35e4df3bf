"""What tests share: one exported repository and one real server for the whole run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import MODELS, PROJECT, Served, run_trimaran, start_serving
from trimaran.repository import Repository


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with the small models and EfficientNet-Lite0 in both formats, and its ensemble.

    Session-wide; tests that change a repository take a copy (`own_repository`).
    """
    root = tmp_path_factory.mktemp("exported") / "model_repository"
    shutil.copytree(
        PROJECT / "model_repository",
        root,
        ignore=lambda directory, names: [n for n in names if n.isdigit() or n == "configs"],
    )
    for factory in (
        f"{MODELS}:linear",
        f"{MODELS}:tokens",
        "training.efficientnet_lite0:model",
    ):
        result = run_trimaran(
            "export", factory, "--format", "onnx", "--format", "torchscript", "--repository", root
        )
        assert result.returncode == 0, result.stderr
    for command in (
        ("publish", "training.efficientnet_lite0:onnx_ensemble"),
        ("release", "image_classifier"),
    ):
        result = run_trimaran(*command, "--repository", root)
        assert result.returncode == 0, result.stderr
    return Repository.open(root)


@pytest.fixture(scope="session")
def served(exported: Repository) -> Iterator[Served]:
    """The one server of the test run, on everything that `exported` holds."""
    running = start_serving(exported)
    yield running
    running.stop()


@pytest.fixture
def own_repository(exported: Repository, tmp_path: Path) -> Repository:
    """A copy of `exported` that a test may change, with nothing live."""
    root = tmp_path / "model_repository"
    shutil.copytree(exported.root, root, ignore=shutil.ignore_patterns("configs"))
    return Repository.open(root)


@pytest.fixture
def empty_repository(tmp_path: Path) -> Repository:
    return Repository.create(tmp_path / "model_repository")
