"""Canaries and A/B tests on live traffic: real Triton, real Envoy, requests over HTTP and gRPC."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
import urllib3

from ensembles import PythonModel
from ensembles.pipeline import tensor
from ensembles.publish import publish_python_model
from tests.gateway.door import Door
from tests.running import Running, Served, wait_for
from tests.trimaran.calling import call_trimaran
from tests.trimaran.rollout.greeter import ENSEMBLE, MODEL, SOURCE, publish_word, write_greetings
from trimaran.publishing.releases import make_release
from trimaran.repository.live import live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.plan import Plan
from trimaran.rollout.experiments.verdict import Verdict, Word
from trimaran.rollout.shadow.copies import MOST_COPIED
from trimaran.rollout.shadow.found import read_found
from trimaran.rollout.shadow.shadowing import Comparing, shadowing
from trimaran.rollout.traffic.arms_log import ArmsLog
from trimaran.rollout.traffic.moves import Move, next_move
from trimaran.rollout.traffic.split import ARMS_LOG, Split, announcing, splits_of
from trimaran.system.ports import Ports
from trimaran.system.processes import children

GOOD, BAD, SILENT = 2, 3, 4
"""The releases beside the live one: as good, failing for half of the names, and not loading."""
FAILING = SOURCE.replace(
    "        greetings = [",
    "        if any(name[0, 0].startswith(b'b') for name in names):\n"
    '            raise ValueError("a name that begins with b")\n'
    "        greetings = [",
)


@dataclass(frozen=True)
class Shop:
    """A server whose release 1 is live, the gateway before it, and other releases."""

    served: Served
    door: Door

    @property
    def repository(self) -> Repository:
        return self.served.repository

    @property
    def live(self) -> int:
        found = live_release(self.repository.live(ENSEMBLE))
        assert found is not None
        return found.number

    def began(self, kind: str, release: int, *arguments: str) -> Running:
        """A command that conducts an experiment."""
        options = ("--release", str(release), "--by=anna", "--repository", self.repository.root)
        return Running(kind, ENSEMBLE, *options, *arguments)

    def experiment(self, *command: str) -> str:
        """What a command on the newest experiment says, which must succeed."""
        name, *arguments = command
        root = ("--repository", self.repository.root)
        outcome = call_trimaran("experiment", name, ENSEMBLE, *arguments, *root)
        assert outcome.status == 0, outcome.stderr
        return outcome.stdout

    def newest(self) -> Experiment:
        return Experiment.open(self.repository, ENSEMBLE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shop")
    repository = Repository.create(directory / "model_repository")
    write_greetings(repository, directory)
    make_release(repository, ENSEMBLE)
    with_server = Served(repository)
    publish_word(repository, directory, "hi dear")
    make_release(repository, ENSEMBLE)
    publish_failing(repository, directory)
    make_release(repository, ENSEMBLE)
    publish_word(repository, directory, "")
    make_release(repository, ENSEMBLE)
    with_server.until_said(" s: HTTP ", 120)
    call_trimaran("deploy", ENSEMBLE, "--release", "1", "--repository", repository.root)
    door = Door(repository, directory / "gateway.toml", "[limits]\nrequests_per_second = 100000")
    door.until_said("Press Ctrl-C to stop", 60)
    yield Shop(with_server, door)
    door.stop()
    with_server.stop()


def publish_failing(repository: Repository, directory: Path) -> None:
    source = directory / "failing" / "model.py"
    source.parent.mkdir()
    source.write_text(FAILING)
    one = [tensor("NAME", "BYTES", 1)], [tensor("GREETING", "BYTES", 1)]
    model = PythonModel(MODEL, *one, sources=[source], files={"word.txt": b"hey dear"})
    publish_python_model(repository, model, "test")


@dataclass
class Load:
    """What clients saw: requests that failed, and which releases answered each of them."""

    failures: list[str] = field(default_factory=list)
    releases: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    answers: int = 0

    def seen(self, client: str, release: str | None) -> None:
        self.releases[client].add(release or "none")
        self.answers += 1


@contextmanager
def under_load(shop: Shop) -> Iterator[Load]:
    """Forty clients ask during the block, each over HTTP and over gRPC."""
    load, over = Load(), threading.Event()
    bearer = shop.door.bearer(f"infer:{ENSEMBLE}")
    clients = [f"{letter}{number}" for letter in "ab" for number in range(20)]

    def over_http() -> None:
        for client in itertools.cycle(clients):
            if over.is_set():
                return
            headers = {**bearer, "customer-id": client}
            try:
                reply = shop.door.ask(
                    "POST", f"/models/{ENSEMBLE}/predict", record={"NAME": client}, headers=headers
                )
            except urllib3.exceptions.HTTPError as error:
                load.failures.append(str(error))
                continue
            if reply.status != 200:
                load.failures.append(f"{reply.status} {reply.body!r}")
            else:
                load.seen(client, reply.headers["x-trimaran-version"])

    def over_grpc() -> None:
        with shop.door.calls() as calls:
            for client in itertools.cycle(clients):
                if over.is_set():
                    return
                name = tritonclient.grpc.InferInput("NAME", [1, 1], "BYTES")
                name.set_data_from_numpy(np.array([[client.encode()]], object))
                headers = {**bearer, "customer-id": client}
                try:
                    answer = calls.infer(ENSEMBLE, [name], headers=headers).get_response()
                except tritonclient.grpc.InferenceServerException as error:
                    load.failures.append(str(error))
                    continue
                load.seen(client, answer.model_version)

    threads = [threading.Thread(target=each) for each in (over_http, over_grpc)]
    for each in threads:
        each.start()
    try:
        yield load
    finally:
        over.set()
        for each in threads:
            each.join()


def ended(running: Running, timeout_s: float = 120) -> int:
    """The status of a command that ends by itself."""
    wait_for(lambda: running.process.poll() is not None, timeout_s, "the end of the experiment")
    running.stop()
    return running.process.returncode


def test_a_bad_release_is_taken_back_without_a_failed_request(shop: Shop) -> None:
    with under_load(shop) as load:
        canary = shop.began("canary", BAD, "--steps", "50,100", "--each", "5m", "--key=customer-id")
        canary.until_said("gets 50 % of the traffic", 60)
        assert ended(canary) == 1
        taken_back = load.answers
        wait_for(lambda: load.answers > taken_back + 200, 30, "answers of what is live")
    assert load.failures == []
    assert canary.said("abort: The candidate's error ratio is proven to ")
    assert canary.said("all traffic goes to release 1")
    assert shop.live == 1
    assert not splits_of(shop.repository)
    state = shop.newest().state
    assert state.segment.candidate.seen.units == len(candidates(shop)), "each client counts once"
    # A client whose name begins with b was answered by what is live, wherever it belongs.
    assert {each for each, found in load.releases.items() if str(BAD) in found} == {
        each for each in candidates(shop) if each.startswith("a")
    }
    outcome = call_trimaran(
        "experiment", "report", ENSEMBLE, "--json", "--repository", shop.repository.root
    )
    assert (outcome.status, json.loads(outcome.stdout)["verdict"]) == (1, "abort")


def candidates(shop: Shop) -> set[str]:
    """Which of the forty clients are the candidate's, by the key of the newest experiment."""
    experiment = shop.newest()
    key = (experiment.directory / "units.key").read_text()
    split = Split("", ENSEMBLE, "1", "2", experiment.state.segment.share, Ports(), digest_key=key)
    clients = [f"{letter}{number}" for letter in "ab" for number in range(20)]
    return {each for each in clients if split.arm(each) == "candidate"}


@pytest.mark.long
def test_a_good_release_is_made_live_step_by_step(shop: Shop) -> None:
    options = ("--steps", "20,60,100", "--each", "3s", "--longer-p99", "0", "--more-errors", "5")
    with under_load(shop) as load:
        canary = shop.began("canary", GOOD, *options, "--key=customer-id")
        assert ended(canary) == 0
        answered = load.answers
        wait_for(lambda: load.answers > answered + 100, 30, "answers of the release")
    assert load.failures == []
    shares = [line.split("gets ")[1].split(" %")[0] for line in canary.said(" gets ")]
    assert shares == ["20", "60"]
    assert shop.live == GOOD
    assert call_trimaran("rollback", ENSEMBLE, "--repository", shop.repository.root).status == 0


@pytest.mark.long
def test_a_killed_conductor_leaves_all_to_what_is_live_and_its_command_goes_on(shop: Shop) -> None:
    with under_load(shop) as load:
        first = shop.began("ab", GOOD, "--share", "50", "--key=customer-id")
        first.until_said("gets 50 %", 60)
        wait_for(lambda: any("2" in each for each in load.releases.values()), 30, "an answer of 2")
        os.kill(first.process.pid, signal.SIGKILL)
        first.stop()
        shop.door.until_said("no model has a candidate", 10)
        of_the_first = candidates(shop)
        refused = shop.began("ab", BAD, "--share", "50")
        assert ended(refused) == 1
        assert refused.said("goes on: ab of release 2 against 1")
        again = shop.began("ab", GOOD, "--share", "50", "--key=customer-id")
        again.until_said("gets 50 %", 60)
        assert candidates(shop) == of_the_first
        shop.experiment("weigh", "10")
        again.until_said("gets 10 %", 30)
        assert candidates(shop) <= of_the_first, "a smaller share keeps clients at one release"
        assert "began anew" in shop.newest().state.notes[-1]
        shop.experiment("stop", "--why", "a better one is there")
        assert ended(again) == 2
    assert load.failures == []
    assert again.said("inconclusive: Stopped: a better one is there")


@pytest.mark.long
def test_a_server_that_dies_or_hangs_costs_no_request(shop: Shop) -> None:
    with under_load(shop) as load:
        running = shop.began("ab", GOOD, "--share", "50", "--most-errors", "20")
        running.until_said("gets 50 %", 60)
        (serve,) = (
            each
            for each in children(running.process.pid)
            if b"serve" in Path(f"/proc/{each}/cmdline").read_bytes()
        )
        (triton,) = (
            each
            for each in children(serve)
            if b"tritonserver/bin" in Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")[0]
        )
        os.kill(triton, signal.SIGSTOP)
        shop.door.until_said("candidate of", 30)
        os.kill(triton, signal.SIGCONT)
        os.kill(serve, signal.SIGKILL)
        assert ended(running) == 1
    assert load.failures == []
    assert running.said("abort: ")
    assert not splits_of(shop.repository)


@pytest.mark.long
def test_a_deployment_in_the_middle_ends_it_undecided(shop: Shop) -> None:
    running = shop.began("ab", BAD, "--share", "50")
    running.until_said("gets 50 %", 60)
    root = ("--repository", shop.repository.root)
    assert call_trimaran("deploy", ENSEMBLE, "--release", "2", *root).status == 0
    assert ended(running) == 2
    assert running.said("inconclusive: Release 2 was made live")
    assert call_trimaran("rollback", ENSEMBLE, *root).status == 0


def test_answers_are_copied_and_compared_in_each_form(shop: Shop) -> None:
    """What is live is the candidate too, so that all answers agree."""
    repository, door = shop.repository, shop.door
    plan = Plan((1.0,), latency=None, agreement=0.9, inputs=False, split=False)
    experiment = Experiment.begin(repository, ENSEMBLE, "shadow", "1", "2", plan, by="anna")
    how, ports = Comparing(("GREETING",)), shop.served.ports
    totals = {"live": Observed(), "candidate": Observed()}

    def all_seen() -> bool:
        for arm, each in shadow.seen(1.0).items():
            totals[arm] = totals[arm].plus(each)
        return totals["live"].requests == 6 and shadow.found.dropped == 1

    name = tritonclient.http.InferInput("NAME", [1, 1], "BYTES")
    name.set_data_from_numpy(np.array([[b"Ada"]], object))
    binary, size = tritonclient.http.InferenceServerClient.generate_request_body([name])
    tensors = {"inputs": [{"name": "NAME", "shape": [1, 1], "datatype": "BYTES", "data": ["Ada"]}]}
    with (
        closing(ArmsLog(repository.state / "gateway" / ARMS_LOG)) as log,
        shadowing(experiment, ENSEMBLE, ports, how, log.news) as shadow,
        announcing(repository, ENSEMBLE) as announce,
    ):
        split = Split(experiment.state.name, ENSEMBLE, "1", "2", 1.0, ports, socket=shadow.socket)
        announce(split)
        door.until_said(f"{split.experiment}: 100 % of {ENSEMBLE} are compared with release 2", 30)
        model, scope = f"/v2/models/{ENSEMBLE}", f"infer:{ENSEMBLE}"
        length = {"Inference-Header-Content-Length": str(size)}
        for status, path, record, body, headers in (
            (200, f"/models/{ENSEMBLE}/predict", {"NAME": "Ada"}, None, {}),
            (200, f"{model}/generate", {"NAME": "Ada"}, None, {}),
            (200, f"{model}/infer", tensors, None, {}),
            (200, f"{model}/infer", None, binary, length),
            (400, f"/models/{ENSEMBLE}/predict", {"NAME": 5}, None, {}),
            (200, f"/models/{ENSEMBLE}/predict", {"NAME": "Ada" * MOST_COPIED}, None, {}),
            (200, f"{model}/versions/1/infer", tensors, None, {}),
            (200, f"{model}/generate_stream", {"NAME": "Ada"}, None, {}),
        ):
            reply = door.ask("POST", path, scope, record=record, body=body, headers=headers)
            assert reply.status == status, (path, reply.body)
        with door.calls() as calls:
            name = tritonclient.grpc.InferInput("NAME", [1, 1], "BYTES")
            name.set_data_from_numpy(np.array([[b"Ada"]], object))
            calls.infer(ENSEMBLE, [name], headers=door.bearer(scope))
        wait_for(all_seen, 30, "six answers, and one that is too large")
    experiment.decide(Verdict("inconclusive", "it was tried"), by="anna")
    live, candidate = totals["live"], totals["candidate"]
    assert (live.errors, candidate.errors) == (1, 1)
    assert (candidate.compared, candidate.agreed) == (5, 5)
    assert shadow.found.outputs["GREETING"].agreed == 5


@pytest.mark.long
def test_a_shadow_compares_answers_of_which_no_client_gets_any(shop: Shop) -> None:
    with under_load(shop) as load:
        shadow = shop.began("shadow", GOOD, "--keep-inputs")
        assert ended(shadow) == 1
    assert load.failures == []
    assert set().union(*load.releases.values()) == {"1"}
    assert shadow.said("abort: The share of equal answers is proven to break the least")
    assert not splits_of(shop.repository)
    found = read_found(shop.newest().directory)
    assert found is not None
    assert found.outputs["GREETING"].agreed == 0
    assert 10 < len(found.worst) <= 20
    for each in found.worst:
        assert each.inputs is not None
        (name,) = each.inputs["NAME"]
        (answer,) = each.candidate["GREETING"]
        assert answer.endswith(f"hi dear {name}")
        assert each.live["GREETING"] != [answer]
    outcome = call_trimaran("experiment", "report", ENSEMBLE, "--repository", shop.repository.root)
    assert (outcome.status, "GREETING: 0 of " in outcome.stdout) == (1, True)
    assert answer in (shop.newest().directory / "report.html").read_text()


@pytest.mark.long
def test_a_killed_or_silent_shadow_costs_no_request_and_goes_on(shop: Shop) -> None:
    with under_load(shop) as load:
        first = shop.began("shadow", BAD, "--agreement", "1", "--most-errors", "99")
        first.until_said("is asked 100 %", 60)
        wait_for(lambda: compared_by(shop) > 20, 30, "comparisons")
        os.kill(first.process.pid, signal.SIGSTOP)
        unheard = load.answers
        wait_for(lambda: load.answers > unheard + 500, 60, "answers while nobody compares")
        os.kill(first.process.pid, signal.SIGKILL)
        first.stop()
        shop.door.until_said("no model has a candidate", 10)
        before = compared_by(shop)
        again = shop.began("shadow", BAD, "--agreement", "1", "--most-errors", "99")
        wait_for(lambda: compared_by(shop) > before, 60, "more comparisons")
        (serve,) = (
            each
            for each in children(again.process.pid)
            if b"serve" in Path(f"/proc/{each}/cmdline").read_bytes()
        )
        os.kill(serve, signal.SIGKILL)
        assert ended(again) == 1
    assert load.failures == []
    assert again.said("abort: The candidate")
    assert set().union(*load.releases.values()) == {"1"}


def compared_by(shop: Shop) -> int:
    """How many answers the newest experiment has compared."""
    state = shop.newest().state
    return sum(each.candidate.seen.compared for each in state.segments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("canary", "--release", "1"), "release 1 is the live one"),
        (("canary", "--release", "9"), "9"),
        (("canary", "--release", "2", "--steps", "5,25"), "rising percents that end with 100"),
        (("canary", "--release", "2", "--steps", "50,5,100"), "rising percents"),
        (("canary", "--release", "2", "--each", "soon"), "--each is 'soon'"),
        (("ab", "--release", "2", "--share", "100"), "between 0 and 1"),
        (("ab", "--release", "2", "--key", "customer_id"), "no header's name"),
        (("shadow", "--release", "1"), "release 1 is the live one"),
        (("shadow", "--release", "2", "--output", "GREETINGS"), "did you mean 'GREETING'?"),
        (("shadow", "--release", "2", "--tolerance", "nan"), "--tolerance is nan"),
    ],
)
def test_mistakes_are_one_sentence(shop: Shop, arguments: tuple[str, ...], words: str) -> None:
    kind, *others = arguments
    outcome = call_trimaran(kind, ENSEMBLE, *others, "--repository", shop.repository.root)
    assert outcome.status in (1, 2)
    assert words in outcome.error
    assert not splits_of(shop.repository)


def test_without_a_gateway_nothing_is_divided(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "model_repository")
    write_greetings(repository, tmp_path)
    make_release(repository, ENSEMBLE)
    outcome = call_trimaran("canary", ENSEMBLE, "--repository", repository.root)
    assert outcome.status == 1
    assert "no gateway runs on" in outcome.error


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_key_decides_the_arm_and_keeps_it_as_the_share_grows(share: float) -> None:
    split = Split("shop/1", "shop", "1", "2", share, Ports(), digest_key="a key")
    keys = [str(number) for number in range(20_000)]
    chosen = {key for key in keys if split.arm(key) == "candidate"}
    assert abs(len(chosen) / len(keys) - share) < 4 * (share * (1 - share) / len(keys)) ** 0.5
    greater = replace(split, share=share * 1.5)
    assert chosen <= {key for key in keys if greater.arm(key) == "candidate"}
    other = replace(split, digest_key="another")
    assert chosen != {key for key in keys if other.arm(key) == "candidate"}


WORDS: tuple[Word, ...] = ("promote", "hold", "abort", "inconclusive")


@pytest.mark.parametrize(
    ("waited", "last", "moves"),
    [
        (False, False, ("stay", "stay", "back", "back")),
        (False, True, ("stay", "stay", "back", "back")),
        (True, False, ("next", "next", "back", "back")),
        (True, True, ("over", "stay", "back", "back")),
    ],
)
def test_the_next_move(waited: bool, last: bool, moves: tuple[Move, ...]) -> None:
    assert tuple(next_move(word, waited=waited, last=last) for word in WORDS) == moves
