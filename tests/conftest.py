"""What tests share: one exported repository and one real server for the whole run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.running import MODELS, PROJECT, Served, run_trimaran, start_serving
from trimaran.files import exclusive_lock
from trimaran.repository import Repository

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Repository:
    """A repository with the small models and EfficientNet-Lite0 in both formats, and its ensemble.

    Made once for all test processes, and never served; tests that change a repository take a copy
    (`own_repository`).
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "exported"
    root, complete = shared / "model_repository", shared / "complete"
    with exclusive_lock(shared / "lock"):
        if not complete.exists():
            _export_all(root)
            complete.touch()
    return Repository.open(root)


def _export_all(root: Path) -> None:
    shutil.copytree(
        PROJECT / "model_repository",
        root,
        ignore=lambda directory, names: [n for n in names if n.isdigit() or n == "configs"],
    )
    models = (f"{MODELS}:linear", f"{MODELS}:tokens", "training.efficientnet_lite0:model")
    formats = ("--format", "onnx", "--format", "torchscript")
    for command in (
        *(("export", model, *formats) for model in models),
        ("publish", "training.efficientnet_lite0:onnx_ensemble"),
        ("release", "image_classifier"),
    ):
        result = run_trimaran(*command, "--repository", root)
        assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def served(exported: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The one server of a test process, on everything that `exported` holds."""
    root = tmp_path_factory.mktemp("served") / "model_repository"
    shutil.copytree(exported.root, root)
    running = start_serving(Repository.open(root))
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
