"""Deployments exclude one another, and a heal and a deployment do so on each model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.running import Served, start_serving
from tests.trimaran.rollout.greeter import ENSEMBLE, MODEL, publish_word, write_greetings
from trimaran.publishing.releases import make_release
from trimaran.repository.config import ModelConfig
from trimaran.repository.presence import server_secret
from trimaran.repository.repository import Repository
from trimaran.rollout.deployment import deploy, roll_back
from trimaran.rollout.fleet import Fleet
from trimaran.serving.control import Control
from trimaran.serving.supervisor import reload_model


class Watching(Control):
    """Notes which locks were held during each load."""

    def __init__(self, served: Served) -> None:
        super().__init__(served.endpoint, server_secret(served.repository))
        self.state = served.repository.state
        self.own: dict[str, bool] = {}
        self.deployment: dict[str, bool] = {}

    def load(self, model: str) -> None:
        self.note(model)
        super().load(model)

    def load_given(self, config: ModelConfig, files: Mapping[str, bytes] | None = None) -> None:
        self.note(config.name)
        super().load_given(config, files)

    def note(self, model: str) -> None:
        self.own[model] = is_held(self.state / "live" / f"{model}.lock")
        self.deployment[model] = is_held(self.state / "deployment.lock")


def is_held(lock: Path) -> bool:
    """Whether this process holds it; the server takes the same locks in moments of its own."""
    if not lock.exists():
        return False
    inode = str(lock.stat().st_ino)
    held = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(
        kind == "FLOCK" and pid == str(os.getpid()) and place.split(":")[2] == inode
        for _, kind, _, _, pid, place, *_ in (words for words in held if words[1] != "->")
    )


@pytest.fixture(scope="module")
def greeting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("greeting")
    repository = Repository.create(directory / "model_repository")
    write_greetings(repository, directory)
    make_release(repository, ENSEMBLE)
    served = start_serving(repository, "--model", ENSEMBLE)
    yield served
    served.stop()


def test_what_is_live_changes_under_its_own_lock_and_that_of_all_deployments(
    greeting: Served,
) -> None:
    repository = greeting.repository
    publish_word(repository, repository.root.parent, "hi dear")
    second = make_release(repository, ENSEMBLE).version
    live = {ENSEMBLE: True, MODEL: True}
    with greeting.client() as client:
        deploying, rolling = Watching(greeting), Watching(greeting)
        deploy(repository, Fleet.of_one(deploying, client), ENSEMBLE, second)
        roll_back(repository, Fleet.of_one(rolling, client), ENSEMBLE)
    # A candidate that is tried holds up no heal.
    for watching in (deploying, rolling):
        assert watching.own.pop(f"{ENSEMBLE}_canary") is False
        assert all(watching.own.values())
        assert all(watching.deployment.values())
    assert deploying.own == live
    assert rolling.own.keys() <= live.keys()


def test_a_heal_waits_for_its_own_model_alone(greeting: Served) -> None:
    healing = Watching(greeting)
    reload_model(greeting.repository, healing, MODEL)
    assert healing.own == {MODEL: True}
    assert healing.deployment == {MODEL: False}
