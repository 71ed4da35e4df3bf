"""What tests share: exported repositories, a trained model, and real servers for the whole run."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from tests.envoy import Envoy, envoy_before
from tests.programs import COMPILER, is_here
from tests.running import MODELS, PROJECT, Running, Served, start_serving
from tests.trimaran.calling import call_trimaran
from trimaran.repository.repository import Repository
from trimaran.system.files import exclusive_lock

# Several test processes share the cores, so each computes in one thread. Read when torch and
# OpenBLAS are loaded, here and in every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A test process forks only to start another program. gRPC's handlers of a fork would close the
# connections of its clients, when they find no thread of it at work.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# A shell that starts the tests in the background has them ignore it, and so would every process
# that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A test process holds all that torch, scikit-learn and other libraries have loaded. By default,
# Python looks for garbage so often that a twentieth of all its time goes into walking over that.
gc.set_threshold(100_000, 20, 20)

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


SERVERS = ("served", "churn_served")
"""Fixtures that start a server for the rest of the run, each in one test process."""

MADE = ("exported", "churn_trained")
"""Fixtures that the first test process to ask makes for all; others that ask wait meanwhile."""

KEPT = "TRIMARAN_TESTS_MADE"
"""The environment variable with a directory where what `MADE` makes is kept for the next run."""

LONGEST_ID = 60
"""Characters of a text that a test's name shows."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of each test, and put the tests in the order in which processes take them.

    `--dist loadgroup` gives a group to one test process, and any other test to the next that is
    free. So groups, which take long, come first and single tests fill the gaps at the end.
    """
    takes = {item: scopes_of(item) for item in items}
    groups = {item: group_of(item, takes[item]) for item in items}
    for item, group in groups.items():
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
    waiting = {groups[item] for item in items if not takes[item].keys().isdisjoint(MADE)}

    def turn(item: pytest.Item) -> tuple[int, bool]:
        group = groups[item]
        if group in SERVERS:
            return SERVERS.index(group), False
        if group:
            return len(SERVERS), group in waiting
        return len(SERVERS) + 1, takes[item].keys().isdisjoint(MADE)

    items.sort(key=turn)


def pytest_collection_finish() -> None:
    """What was loaded so far stays to the end, so no search for garbage walks over it again."""
    gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """A short name of a long text: test processes send each other the names of all tests."""
    if isinstance(val, (str, bytes)) and len(val) > LONGEST_ID:
        return f"{val[:LONGEST_ID]!r}..."
    return None


def group_of(item: pytest.Item, takes: Mapping[str, str]) -> str | None:
    """The server that a test asks, or its file, where that has fixtures that its tests share."""
    for server in SERVERS:
        if takes.get(server) == "session":
            return server
    shared = {"class", "module", "package"} & set(takes.values())
    return item.nodeid.partition("::")[0] if shared else None


def scopes_of(item: pytest.Item) -> dict[str, str]:
    """The fixtures that a test takes, also by way of others, and the scope of each.

    A parametrised argument is none, or one of the scope "function".
    """
    assert isinstance(item, pytest.Function)
    definitions = item._fixtureinfo.name2fixturedefs
    return {name: found[-1].scope for name, found in definitions.items()}


@pytest.fixture(scope="session", autouse=True)
def _left_over() -> Iterator[None]:
    """Ends the commands that a fixture left running, because it failed after it started them."""
    yield
    for command in Running.started:
        if command.process.poll() is None:
            command.stop()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Repository:
    """A repository with small models in several formats, and EfficientNet-Lite0 and its ensemble.

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
    kept = os.environ.get(KEPT)
    shared = (Path(kept) if kept else base if worker_id == "master" else base.parent) / name
    complete = shared / "complete"
    with exclusive_lock(shared.with_suffix(".lock")):
        if not complete.exists():
            shutil.rmtree(shared, ignore_errors=True)  # of a try that failed
            make(shared)
            complete.touch()
    return shared


def _export_all(shared: Path) -> None:
    root = _committed_configs(shared)
    models = f"{MODELS}:linear", f"{MODELS}:tokens"
    formats = ("--format", "onnx", "--format", "torchscript")
    photographs = ("export", "exporters.efficientnet_lite0:model", "--format", "onnx")
    _run_all(
        PROJECT,
        *(("export", model, *formats, "--repository", root) for model in models),
        (*photographs, "--repository", root),
        ("publish", "ensembles.efficientnet_lite0:onnx_ensemble", "--repository", root),
        ("release", "image_classifier", "--repository", root),
    )
    if is_here(COMPILER):  # a test of what it compiles requires it
        aoti = ("--format", "aoti", "--device", "cpu")
        _run_all(PROJECT, ("export", f"{MODELS}:linear", *aoti, "--repository", root))


def _train_churn(shared: Path) -> None:
    _committed_configs(shared)
    _run_all(
        shared,
        ("train", "churn"),
        ("export", "runs/churn/latest", "--format", "onnx"),
        ("publish", "runs/churn/latest"),
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


@pytest.fixture(scope="session")
def envoy(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """A gateway before `served`, with TLS and a token."""
    with envoy_before(served.ports, tmp_path_factory.mktemp("envoy")) as running:
        yield running


@pytest.fixture
def own_repository(exported: Repository, tmp_path: Path) -> Repository:
    """A copy of `exported` that a test may change, with nothing live."""
    root = tmp_path / "model_repository"
    shutil.copytree(exported.root, root, ignore=shutil.ignore_patterns("configs"))
    return Repository.open(root)


@pytest.fixture
def empty_repository(tmp_path: Path) -> Repository:
    return Repository.create(tmp_path / "model_repository")
