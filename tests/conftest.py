"""What tests share: exported repositories, a trained model, and real servers for the whole run."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.running import MODELS, PROJECT, Served, start_serving
from tests.trimaran.calling import call_trimaran
from trimaran.repository.repository import Repository
from trimaran.system.files import exclusive_lock

# Threads of OpenMP that wait sleep, since other test processes want the processor meanwhile. Read
# when torch is loaded, here and in every process that a test starts.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A test process forks only to start another program. gRPC's handlers of a fork would close the
# connections of its clients, when they find no thread of it at work.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# A shell that starts the tests in the background has them ignore it, and so would every process
# that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


_TESTS_OF_A_SERVER = re.compile(r"def test_\w+\([^)]*\b(served|churn_served|churn_watched): ")
_SERVER_OF = {"churn_watched": "churn_served"}


class ByServer(LoadScopeScheduling):
    """Gives all files with tests of one server to one test process, and other files as they are."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid.partition("::")[0])


@functools.cache
def scope_of(file: str) -> str:
    """The fixture of the server that most tests of a file ask, or the file itself."""
    asked = _TESTS_OF_A_SERVER.findall((PROJECT / file).read_text())
    most = max(asked, key=asked.count) if asked else file
    return _SERVER_OF.get(most, most)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServer:
    return ByServer(config, log)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Repository:
    """A repository with the small models and EfficientNet-Lite0 in both formats, and its ensemble.

    Made once for all test processes, and never served; tests that change a repository take a copy
    (`own_repository`).
    """
    shared = _made_once(tmp_path_factory, worker_id, "exported", _export_all)
    return Repository.open(shared / "model_repository")


@pytest.fixture(scope="session")
def churn_trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory in which `trimaran train churn` was run, and what it trained was released.

    It holds `runs` and `model_repository`. Made once for all test processes, and never served.
    """
    return _made_once(tmp_path_factory, worker_id, "churn", _train_churn)


@pytest.fixture(scope="session")
def churn_served(churn_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of the trained churn ensembles."""
    root = tmp_path_factory.mktemp("churn_served") / "model_repository"
    shutil.copytree(churn_trained / "model_repository", root)
    running = start_serving(Repository.open(root), "--log-predictions")
    yield running
    running.stop()


def _made_once(
    factory: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], None]
) -> Path:
    """A directory that the first test process to need it makes, and all others share."""
    base = factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / name
    complete = shared / "complete"
    with exclusive_lock(shared.with_suffix(".lock")):
        if not complete.exists():
            shutil.rmtree(shared, ignore_errors=True)  # of a try that failed
            make(shared)
            complete.touch()
    return shared


def _export_all(shared: Path) -> None:
    root = _committed_configs(shared)
    models = (f"{MODELS}:linear", f"{MODELS}:tokens", "exporters.efficientnet_lite0:model")
    formats = ("--format", "onnx", "--format", "torchscript")
    _run_all(
        PROJECT,
        *(("export", model, *formats, "--repository", root) for model in models),
        ("publish", "ensembles.efficientnet_lite0:onnx_ensemble", "--repository", root),
        ("release", "image_classifier", "--repository", root),
    )


def _train_churn(shared: Path) -> None:
    _committed_configs(shared)
    _run_all(
        shared,
        ("train", "churn"),
        ("export", "exporters.churn:model", "--format", "onnx", "--max-batch-size", "1024"),
        *(("publish", f"ensembles.churn:{made}") for made in ("ensemble", "record", "feedback")),
        ("release", "churn"),
        ("deploy", "churn_record"),
    )


def _committed_configs(shared: Path) -> Path:
    """A copy of the project's repository without what is made."""
    root = shared / "model_repository"
    shutil.copytree(
        PROJECT / "model_repository",
        root,
        ignore=lambda directory, names: [n for n in names if n.isdigit() or n == "configs"],
    )
    return root


def _run_all(cwd: Path, *commands: tuple[str | Path, ...]) -> None:
    for command in commands:
        outcome = call_trimaran(*command, cwd=cwd)
        assert outcome.status == 0, outcome.stderr


@pytest.fixture(scope="session")
def served(exported: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of everything that `exported` holds."""
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
