"""Two servers of one repository: they switch together, or neither does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

import trimaran
from tests.running import READY, Served, asked, start_serving, wait_for
from tests.trimaran.calling import call_trimaran
from tests.trimaran.rollout.greeter import ENSEMBLE, MODEL, NAME, publish_word, write_greetings
from tests.trimaran.serving.load import under_load
from trimaran.publishing.releases import make_release
from trimaran.repository.presence import find_servers
from trimaran.repository.repository import Repository
from trimaran.rollout.fleet import takers
from trimaran.serving.settling import settle
from trimaran.serving.stub_processes import shared_memory
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import start_time


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ({"a": {"m"}, "b": {"m", "n"}}, ["a", "b"]),
        ({"a": {"m"}, "b": {"n"}}, ["a"]),
        ({"a": {"n"}, "b": set()}, ["a", "b"]),
        ({}, []),
    ],
)
def test_which_servers_a_deployment_concerns(known: dict[str, set[str]], found: list[str]) -> None:
    assert takers(known, "m") == found


@dataclass
class Two:
    """A server without a name, and one that is called `b`."""

    repository: Repository
    first: Served
    second: Served

    def said(self) -> list[bytes]:
        """What each server answers, and of which release."""
        answers = []
        for served in (self.first, self.second):
            with served.client() as client:
                answer = client.infer(ENSEMBLE, NAME)
            answers.append(answer.version.encode() + b": " + answer.outputs["GREETING"][0, 0])
        return answers

    def triton_of_b(self) -> int:
        (pid,) = (each.server_pid for each in find_servers(self.repository) if each.name == "b")
        return pid

    def steps(self) -> list[set[int]]:
        """The versions of a step that each server has."""
        return [served.control.ready_versions(MODEL) for served in (self.first, self.second)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Both serve release 1; there is a release 2."""
    directory = tmp_path_factory.mktemp("two")
    repository = Repository.create(directory / "model_repository")
    write_greetings(repository, directory)
    make_release(repository, ENSEMBLE)
    first = Served(repository)
    second = start_serving(repository, name="b")
    first.until_said(READY, 120)
    publish_word(repository, directory, "hi dear")
    make_release(repository, ENSEMBLE)
    yield Two(repository, first, second)
    first.process.send_signal(signal.SIGINT)  # both end at the same time
    second.stop()
    first.stop()


OLD = [b"1: so hello dear Ada"] * 2


def acting_at(words: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Progress that does something once these words are said."""

    def progress(step: str) -> None:
        if words in step:
            act()

    return progress


def test_both_switch_and_switch_back_without_a_failed_request(two: Two) -> None:
    assert two.said() == OLD
    root = ("--repository", two.repository.root)
    with (
        under_load(two.first, ENSEMBLE, NAME) as first,
        under_load(two.second, ENSEMBLE, NAME) as second,
    ):
        deployed = call_trimaran("deploy", ENSEMBLE, *root)
        assert two.said() == [b"2: so hi dear Ada"] * 2
        rolled = call_trimaran("rollback", ENSEMBLE, *root)
    assert deployed.status == rolled.status == 0
    titles = [f"server on HTTP port {two.first.ports.http}", "server b"]
    steps = [line.partition(" ")[2] for line in deployed.stdout.splitlines()]
    words = ("sending the golden requests to the candidate", "switching to release 2")
    assert [step for step in steps if step.endswith(words)] == [
        f"{title}: {step}" for step in words for title in titles
    ]
    assert two.said() == OLD
    assert first.failures == second.failures == []
    assert first.versions == second.versions == {"1", "2"}


@pytest.mark.long
def test_a_server_that_is_killed_at_its_switch_takes_all_back(two: Two) -> None:
    """The first one serves the new release by then."""
    pid, printed = two.triton_of_b(), len(two.second.lines)
    served = {each.name: each.server_pid for each in find_servers(two.repository)}
    regions = shared_memory(served[""])
    before = two.repository.live_path(ENSEMBLE).read_text()
    kill = acting_at("server b: switching", lambda: os.kill(pid, signal.SIGKILL))
    with under_load(two.first, ENSEMBLE, NAME) as first:
        with pytest.raises(TrimaranError, match="release 2 was not deployed: server b: "):
            trimaran.deploy(ENSEMBLE, 2, two.repository, progress=kill)
        assert two.repository.live_path(ENSEMBLE).read_text() == before
        wait_for(lambda: two.second.said(READY, printed), 60, "the restart of the second server")
        assert two.said() == OLD
    assert not start_time(pid)
    assert first.failures == []
    assert first.versions == {"1", "2"}, "the first server had not switched, so nothing went back"
    assert regions
    assert all(region.exists() for region in regions), "the restart took what is the other's"


@pytest.mark.long
def test_a_server_that_hangs_takes_all_back_and_follows_when_it_goes_on(two: Two) -> None:
    pid = two.triton_of_b()
    steps = two.steps()
    third = publish_word(two.repository, two.repository.root.parent, "oh dear")
    release = make_release(two.repository, ENSEMBLE).version
    stop = acting_at(f"server b: loading {MODEL} {third}", lambda: os.kill(pid, signal.SIGSTOP))
    try:
        with under_load(two.first, ENSEMBLE, NAME) as first:
            with pytest.raises(TrimaranError, match=r"server b: .* answers nothing for 10 s"):
                trimaran.deploy(ENSEMBLE, release, two.repository, progress=stop)
            assert two.first.control.ready_versions(MODEL) == steps[0]
            assert asked(two.second) == (503, "not ready: tritonserver does not answer\n")
            with pytest.raises(
                TrimaranError, match=r"server b: .* does not answer .*; nothing was"
            ):
                trimaran.deploy(ENSEMBLE, release, two.repository)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert first.failures == []
    assert first.versions == {"1"}
    wait_for(lambda: two.steps() == steps, 30, "the old versions on both servers")
    assert two.said() == OLD
    trimaran.deploy(ENSEMBLE, release, two.repository)
    assert two.said() == [f"{release}: so oh dear Ada".encode()] * 2
    trimaran.rollback(ENSEMBLE, two.repository)


def test_what_a_server_promised_is_loaded_also_where_its_first_load_failed(two: Two) -> None:
    control = two.second.control
    control.unload(ENSEMBLE)
    assert settle(two.repository, control) == []
    (done,) = settle(two.repository, control, [ENSEMBLE])
    assert done.startswith(f"{ENSEMBLE}: ")
    assert two.said() == OLD
