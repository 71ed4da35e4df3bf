"""A model without an ensemble: its versions change under load without a failed request."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Served, start_serving
from tests.trimaran.calling import call_trimaran
from tests.trimaran.rollout.greeter import MODEL, NAME, expect_politeness, publish_word
from tests.trimaran.serving.load import under_load
from trimaran.repository.live import live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.deployment import deploy, roll_back
from trimaran.rollout.fleet import Fleet
from trimaran.serving.runtime import Runtime, find_runtime
from trimaran.system.errors import TrimaranError


@pytest.fixture(scope="module")
def greeters(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Two versions that greet politely, and a golden request that wants that; never served."""
    directory = tmp_path_factory.mktemp("greeters")
    repository = Repository.create(directory / "model_repository")
    assert publish_word(repository, directory, "hello dear") == 1
    assert publish_word(repository, directory, "good day dear") == 2
    expect_politeness(repository, MODEL)
    return repository


@pytest.fixture
def repository(greeters: Repository, tmp_path: Path) -> Repository:
    """A copy that a test may change."""
    shutil.copytree(greeters.root, tmp_path / "model_repository")
    return Repository.open(tmp_path / "model_repository")


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return find_runtime()


@pytest.fixture(scope="module")
def greeting(greeters: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("greeting") / "model_repository"
    shutil.copytree(greeters.root, root)
    served = start_serving(Repository.open(root))
    yield served
    served.stop()


@pytest.fixture
def running(greeting: Served, runtime: Runtime) -> Iterator[Served]:
    """A server whose version 2 is live; what a test makes live is taken back after it."""
    assert greeting.control.ready_versions(MODEL) == {2}
    yield greeting
    if greeting.control.ready_versions(MODEL) != {2}:
        with greeting.client() as client:
            deploy(greeting.repository, Fleet.of_one(greeting.control, client), MODEL, 2, runtime)


def test_deployments_and_a_rollback_without_a_failed_request(
    running: Served, runtime: Runtime
) -> None:
    with under_load(running, MODEL, NAME) as answers, running.client() as client:
        for version in (1, 2):
            before = answers.count
            deployed = deploy(
                running.repository, Fleet.of_one(running.control, client), MODEL, version, runtime
            )
            assert str(deployed) == f"version {version} is live, golden requests answered: 1"
            assert running.control.ready_versions(MODEL) == {version}
            assert answers.count > before, "no request was answered meanwhile"
        rolled = roll_back(
            running.repository, Fleet.of_one(running.control, client), MODEL, runtime
        )
        assert rolled.release == 1
    assert answers.failures == []
    assert answers.versions == {"1", "2"}
    greetings = {outputs["GREETING"][0, 0] for outputs in answers.outputs}
    assert greetings == {b"hello dear Ada", b"good day dear Ada"}


@pytest.mark.parametrize(
    ("word", "reason"),
    [("clear off", "golden request 'ada': GREETING is .*, and none contains 'dear'"), ("", "word")],
)
def test_a_version_that_fails_is_never_asked_by_clients(
    running: Served, tmp_path: Path, runtime: Runtime, word: str, reason: str
) -> None:
    wrong = publish_word(running.repository, tmp_path, word)
    before = running.repository.live_path(MODEL).read_text()
    with (
        under_load(running, MODEL, NAME) as answers,
        running.client() as client,
        pytest.raises(TrimaranError, match=f"greeter version {wrong} was not deployed: .*{reason}"),
    ):
        deploy(running.repository, Fleet.of_one(running.control, client), MODEL, wrong, runtime)
    assert answers.failures == []
    assert answers.versions == {"2"}
    assert running.repository.live_path(MODEL).read_text() == before


@pytest.mark.long
def test_a_restart_serves_what_was_deployed_and_reports_what_waits(
    repository: Repository,
) -> None:
    served = start_serving(repository)
    try:
        assert served.control.ready_versions(MODEL) == {2}
        result = call_trimaran("deploy", MODEL, "--release", "1", "--repository", repository.root)
        assert result.status == 0, result.stderr
        assert "version 1 is live, golden requests answered: 1" in result.stdout
    finally:
        served.stop()
    again = start_serving(repository)
    try:
        assert again.control.ready_versions(MODEL) == {1}
        assert again.said(f"greeter serves 1, as deployed; 2 waits for 'trimaran deploy {MODEL}'")
    finally:
        again.stop()


def test_a_stopped_repository_is_deployed_and_rolled_back(repository: Repository) -> None:
    for arguments, live, history in (
        (("deploy", MODEL, "--release", "1"), 1, ()),
        (("deploy", MODEL), 2, (1,)),
        (("rollback", MODEL), 1, ()),
    ):
        result = call_trimaran(*arguments, "--repository", repository.root)
        assert result.status == 0, result.stderr
        found = live_release(repository.live(MODEL))
        assert found is not None
        assert (found.number, found.history) == (live, history)
    refused = call_trimaran("rollback", MODEL, "--repository", repository.root)
    assert refused.status == 1
    assert "no earlier live release" in refused.error


def test_a_damaged_version_is_refused(running: Served, runtime: Runtime) -> None:
    path = running.repository.model(MODEL) / "1" / "word.txt"
    good = path.read_text()
    path.write_text(good.replace("hello", "jello"))
    try:
        with (
            running.client() as client,
            pytest.raises(TrimaranError, match=r"word\.txt was altered after it was published"),
        ):
            deploy(running.repository, Fleet.of_one(running.control, client), MODEL, 1, runtime)
    finally:
        path.write_text(good)
    assert running.control.ready_versions(MODEL) == {2}
