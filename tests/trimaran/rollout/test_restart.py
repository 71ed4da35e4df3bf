"""What is live outlasts the server: it is deployed, kept and reported without one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.running import start_serving
from tests.trimaran.calling import call_trimaran
from tests.trimaran.rollout.greeter import ENSEMBLE, MODEL, NAME, publish_word, write_greetings
from tests.trimaran.serving.load import under_load
from trimaran.publishing.releases import make_release
from trimaran.repository.config import parse_config, write_config
from trimaran.repository.live import live_release
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.rollout.deployment import deploy, roll_back
from trimaran.rollout.fleet import Fleet


@pytest.fixture(scope="module")
def greeted(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A small ensemble whose release 1 is live; not served now."""
    directory = tmp_path_factory.mktemp("greeted")
    repository = Repository.create(directory / "model_repository")
    write_greetings(repository, directory)
    publish_word(repository, directory, "hm", "loner")
    assert make_release(repository, ENSEMBLE).version == 1
    result = call_trimaran("deploy", ENSEMBLE, "--repository", repository.root)
    assert result.status == 0, result.stderr
    assert "no server runs on this repository" in result.stdout
    return repository


@pytest.fixture
def stopped(greeted: Repository, tmp_path: Path) -> Repository:
    """A copy that a test may change."""
    shutil.copytree(greeted.root, tmp_path / "model_repository")
    return Repository.open(tmp_path / "model_repository")


def release_with_word(repository: Repository, word: str) -> int:
    publish_word(repository, repository.root.parent, word)
    return make_release(repository, ENSEMBLE).version


def test_restart_serves_the_same_release(stopped: Repository) -> None:
    second, third = (release_with_word(stopped, f"{word} dear") for word in ("hi", "oh"))
    running = start_serving(stopped, "--model", ENSEMBLE)
    try:
        assert running.control.ready_versions(ENSEMBLE) == {1}
        for release in (third, second):
            result = call_trimaran(
                "deploy", ENSEMBLE, "--release", str(release), "--repository", stopped.root
            )
            assert result.status == 0, result.stderr
            assert f"release {release} is live, golden requests answered: 1" in result.stdout
    finally:
        running.stop()
    again = start_serving(stopped, "--model", ENSEMBLE)
    try:
        assert again.control.ready_versions(ENSEMBLE) == {second}
        live = live_release(again.repository.live(ENSEMBLE))
        assert live is not None
        assert live.history == (1, third)
    finally:
        again.stop()


def test_stopped_repository_is_deployed_through_a_private_server(stopped: Repository) -> None:
    """As `greeted` was; a release that fails its golden request is not."""
    release_with_word(stopped, "clear off")
    refused = call_trimaran("deploy", ENSEMBLE, "--repository", stopped.root)
    assert refused.status == 1
    assert "was not deployed: golden request 'ada'" in refused.error
    live = live_release(stopped.live(ENSEMBLE))
    assert live is not None
    assert live.number == 1
    assert find_server(stopped) is None


@pytest.mark.long
def test_serving_a_step_alone_keeps_what_the_live_release_pins(stopped: Repository) -> None:
    """A newer step version that no release pins yet must not push the pinned one out."""
    assert publish_word(stopped, stopped.root.parent, "hi dear") == 2
    alone = start_serving(stopped, "--model", MODEL)
    assert alone.control.ready_versions(MODEL) == {1, 2}
    alone.stop()
    again = start_serving(stopped, "--model", ENSEMBLE)
    try:
        assert again.control.ready_versions(ENSEMBLE) == {1}
    finally:
        again.stop()


@pytest.mark.long
def test_live_ensembles_that_share_a_step_keep_each_others_versions(stopped: Repository) -> None:
    """The other ensemble keeps version 1 of the step while this one is deployed twice and back."""
    other = "others"
    wiring = parse_config(stopped.config_path(ENSEMBLE).read_text(), "here")
    wiring.name = other
    write_config(stopped.config_path(other), wiring)
    assert make_release(stopped, other).version == 1
    running = start_serving(stopped, "--model", ENSEMBLE, "--model", other)
    try:
        with running.client() as client, under_load(running, other, NAME) as answers:
            for word in ("hi dear", "oh dear"):
                release = release_with_word(stopped, word)
                deploy(stopped, Fleet.of_one(running.control, client), ENSEMBLE, release)
            roll_back(stopped, Fleet.of_one(running.control, client), ENSEMBLE)
        assert running.control.ready_versions(MODEL) >= {1, 2}
    finally:
        running.stop()
    assert answers.failures == []
    assert {outputs["GREETING"][0, 0] for outputs in answers.outputs} == {b"so hello dear Ada"}
    again = start_serving(stopped, "--model", ENSEMBLE, "--model", other)
    try:
        with again.client() as client:
            said = [client.infer(name, NAME).outputs["GREETING"] for name in (other, ENSEMBLE)]
        assert [each[0, 0] for each in said] == [b"so hello dear Ada", b"so hi dear Ada"]
    finally:
        again.stop()


def test_missing_pinned_version_is_reported_and_the_rest_served(stopped: Repository) -> None:
    shutil.rmtree(stopped.model(MODEL) / "1")
    again = start_serving(stopped, "--model", ENSEMBLE, "--model", "loner")
    try:
        shown = " ".join("".join(again.lines).replace("│", " ").split())
        assert f"{MODEL} has no version 1" in shown
        assert again.control.ready_versions("loner") == {1}
        assert again.control.ready_versions("closer") == {1}
    finally:
        again.stop()
