"""Canaries and A/B tests on live traffic: real Triton, real Envoy, requests over HTTP and gRPC."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from tests.gateway.door import Door
from tests.rollout.split_shop import (
    BAD,
    GOOD,
    Shop,
    candidates,
    ended,
    publish_failing,
    under_load,
)
from tests.running import Served, wait_for
from tests.trimaran.calling import call_trimaran
from tests.trimaran.rollout.greeter import ENSEMBLE, publish_word, write_greetings
from trimaran.publishing.releases import make_release
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.observed import Observed
from trimaran.rollout.experiments.plan import Plan
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.rollout.shadow.copies import MOST_COPIED
from trimaran.rollout.shadow.found import read_found
from trimaran.rollout.shadow.shadowing import Comparing, shadowing
from trimaran.rollout.traffic.arms_log import ArmsLog
from trimaran.rollout.traffic.split import ARMS_LOG, Split, announcing, splits_of
from trimaran.system.processes import children

UNDECIDED = ("--more-errors", "0.0001")
"""Of a candidate without errors: so little cannot be proven in a test's time."""


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


def test_a_bad_release_is_taken_back_without_a_failed_request(shop: Shop) -> None:
    with under_load(shop) as load:
        canary = shop.began("canary", BAD, "--steps", "50,100", "--each", "5m", "--key=customer-id")
        canary.until_said("gets 50 % of the traffic", 60)
        its_own = candidates(shop)
        assert ended(canary) == 1
        taken_back = load.answers
        wait_for(lambda: load.answers > taken_back + 200, 30, "answers of what is live")
    assert load.failures == []
    assert canary.said("abort: The candidate's error ratio is proven to ")
    assert canary.said("all traffic goes to release 1")
    assert shop.live == 1
    assert not splits_of(shop.repository)
    state = shop.newest().state
    assert 0 < state.segment.candidate.seen.units <= len(its_own), "each client counts once"
    # A client whose name begins with b was answered by what is live, wherever it belongs.
    by_the_candidate = {each for each, found in load.releases.items() if str(BAD) in found}
    assert by_the_candidate
    assert by_the_candidate <= {each for each in its_own if each.startswith("a")}
    outcome = call_trimaran(
        "experiment", "report", ENSEMBLE, "--json", "--repository", shop.repository.root
    )
    assert (outcome.status, json.loads(outcome.stdout)["verdict"]) == (1, "abort")


@pytest.mark.filterwarnings("ignore:Config.stat_prefix:DeprecationWarning")
def test_the_printed_configuration_hides_the_key_of_clients(shop: Shop) -> None:
    key = "k" * 64
    split = Split("greetings/9", ENSEMBLE, "1", "2", 0.5, shop.served.ports, digest_key=key)
    files = ("--repository", shop.repository.root, "--config", shop.door.config)
    with announcing(shop.repository, ENSEMBLE) as announce:
        announce(split)
        printed = call_trimaran("gateway", "config", *files).stdout
    assert '"greetings/9"' in printed
    assert key not in printed


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
        options = ("--share", "50", "--key=customer-id", "--longer-p99=0", *UNDECIDED)
        first = shop.began("ab", GOOD, *options)
        first.until_said("gets 50 %", 60)
        of_the_first = candidates(shop)
        wait_for(lambda: any("2" in each for each in load.releases.values()), 30, "an answer of 2")
        os.kill(first.process.pid, signal.SIGKILL)
        first.stop()
        shop.door.until_said("no model has a candidate", 10)
        refused = shop.began("ab", BAD, "--share", "50")
        assert ended(refused) == 1
        assert refused.said("goes on: ab of release 2 against 1")
        again = shop.began("ab", GOOD, *options)
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
        options = ("--steps", "50,100", "--each", "1h", "--longer-p99", "0", *UNDECIDED)
        running = shop.began("canary", GOOD, *options)
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
    assert running.said("abort: The candidate")
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
        options = ("--agreement", "0.01", *UNDECIDED)
        first = shop.began("shadow", GOOD, *options)
        first.until_said("is asked 100 %", 60)
        wait_for(lambda: compared_by(shop) > 20, 30, "comparisons")
        os.kill(first.process.pid, signal.SIGSTOP)
        unheard = load.answers
        wait_for(lambda: load.answers > unheard + 500, 60, "answers while nobody compares")
        os.kill(first.process.pid, signal.SIGKILL)
        first.stop()
        shop.door.until_said("no model has a candidate", 10)
        before = compared_by(shop)
        again = shop.began("shadow", GOOD, *options)
        wait_for(lambda: compared_by(shop) > before, 60, "more comparisons")
        (serve,) = (
            each
            for each in children(again.process.pid)
            if b"serve" in Path(f"/proc/{each}/cmdline").read_bytes()
        )
        os.kill(serve, signal.SIGKILL)
        assert ended(again) == 1
    assert load.failures == []
    assert again.said("abort: The candidate is gone: ")
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
        (("ab", "--release", "2", "--share", "100"), "--share is 100; name a percent above 0"),
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
