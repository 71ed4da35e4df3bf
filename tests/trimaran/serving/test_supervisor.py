"""A dead stub is noticed and healed, and nothing else suffers."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.running import PROJECT, Served, repeating, wait_for
from tests.trimaran.serving.load import PAUSE_S
from trimaran.repository.live import with_generation
from trimaran.repository.presence import find_server
from trimaran.serving.server import LOG
from trimaran.serving.stub_processes import (
    Deaths,
    Heals,
    Leftovers,
    Stub,
    StubWatch,
    StuckLoads,
    Turns,
    Verdict,
    identify_stub,
    judge,
    short_of_stubs,
)
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import children, start_time

HEALED_WITHIN_S = 5.0
CAT = (PROJECT / "model_repository/image_classifier/golden/chelsea.jpg").read_bytes()


def stub(pid: int) -> Stub:
    return Stub(pid, "model", 1, "model_0_0")


class TestStubWatch:
    def test_a_zombie_seen_twice_is_dead_and_reported_once(self) -> None:
        watch = StubWatch()
        assert watch.observe({7: stub(7)}, []) == Deaths()
        assert watch.observe({}, [7]) == Deaths()
        assert watch.observe({}, [7]) == Deaths(stubs=(stub(7),))
        assert watch.observe({}, [7]) == Deaths()

    def test_a_stub_that_triton_waits_for_is_not_dead(self) -> None:
        watch = StubWatch()
        watch.observe({7: stub(7)}, [])
        assert watch.observe({}, [7]) == Deaths()
        assert watch.observe({}, []) == Deaths()

    def test_a_process_never_seen_alive_is_a_stranger_until_it_is_explained(self) -> None:
        watch = StubWatch()
        assert watch.observe({}, [8, 9]) == Deaths()
        assert watch.observe({}, [8, 9]) == Deaths(strangers=(8, 9))
        watch.explain([8])
        assert watch.observe({}, [8, 9]) == Deaths(strangers=(9,))
        assert watch.observe({}, [8]) == Deaths()
        assert watch.observe({}, []) == Deaths()
        watch.observe({}, [8])
        assert watch.observe({}, [8]) == Deaths(strangers=(8,)), "another process with its number"

    def test_a_stub_is_missing_only_when_its_death_is_certain(self) -> None:
        watch = StubWatch()
        watch.observe({7: stub(7)}, [])
        watch.observe({}, [7])
        assert watch.not_dead() == {stub(7)}
        watch.observe({}, [7])
        assert watch.not_dead() == set()

    def test_a_process_id_used_again_is_another_stub(self) -> None:
        watch = StubWatch()
        for _ in range(2):
            watch.observe({7: stub(7)}, [])
            watch.observe({}, [7])
            assert watch.observe({}, [7]) == Deaths(stubs=(stub(7),))


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ({("model", 1): "READY"}, Verdict(broken=(stub(7),))),
        ({("model", 1): "LOADING"}, Verdict(undecided=(stub(7),))),
        ({("model", 1): "UNAVAILABLE", ("model", 2): "READY"}, Verdict()),
        ({}, Verdict()),
    ],
)
def test_what_a_dead_stub_means(states: dict[tuple[str, int], str], verdict: Verdict) -> None:
    assert judge([stub(7)], states) == verdict


class TestHeals:
    def test_a_death_is_followed_by_one_reload(self) -> None:
        heals = Heals()
        heals.died(stub(7))
        heals.died(stub(8))
        assert heals.ready(1.0) == ["model"]
        heals.begin("model", [stub(9)], 1.0)
        assert heals.ready(1.0) == []
        assert heals.end("model") == {stub(9)}
        assert heals.ready(1.0) == []

    def test_a_new_stub_that_dies_during_the_reload_is_healed_after_it(self) -> None:
        heals = Heals()
        heals.died(stub(7))
        heals.begin("model", [stub(9)], 1.0)
        heals.died(stub(9))
        assert not heals.due
        heals.died(stub(10))
        assert heals.ready(1.0) == []
        heals.end("model")
        assert heals.ready(1.0) == ["model"]

    def test_the_death_of_a_replaced_stub_is_of_no_concern(self) -> None:
        heals = Heals()
        heals.died(stub(7))
        heals.begin("model", [stub(8), stub(9)], 1.0)
        assert heals.of_concern([stub(8), stub(10)]) == (stub(8), stub(10)), "it may fail"
        heals.end("model")
        assert heals.of_concern([stub(8), stub(10)]) == (stub(10),)
        heals.forget_gone([8, 10])
        assert heals.replaced == {stub(8)}

    def test_a_reload_one_of_whose_new_stubs_died_is_in_doubt(self) -> None:
        heals = Heals()
        heals.died(stub(7))
        heals.begin("model", [stub(9)], 10.0)
        assert heals.doubtful(9.0) == set(), "it died before the reload"
        assert heals.doubtful(None) == set()
        assert heals.doubtful(10.5) == {"model"}
        heals.died(stub(10))
        assert heals.doubtful(None) == {"model"}
        heals.end("model")
        assert heals.doubtful(10.5) == set()

    def test_one_that_failed_is_tried_again_later(self) -> None:
        heals = Heals()
        heals.died(stub(7))
        heals.begin("model", [stub(8)], 1.0)
        heals.end("model", 5.0)
        assert not heals.replaced
        assert heals.ready(4.0) == []
        assert heals.is_known("model")
        assert heals.ready(5.0) == ["model"]


@pytest.mark.parametrize(
    ("living", "ready", "instances", "short"),
    [
        ([], [("model", 1)], {"model": 2}, {"model": 2}),
        ([stub(7)], [("model", 1)], {"model": 1}, {}),
        ([stub(7)], [("model", 1)], {"model": 2}, {"model": 1}),
        ([stub(7), stub(8)], [("model", 1), ("model", 2)], {"model": 1}, {"model": 1}),
        ([], [("ensemble", 1)], {"model": 1}, {}),
        ([], [], {"model": 1}, {}),
    ],
)
def test_models_short_of_stubs(
    living: list[Stub],
    ready: list[tuple[str, int]],
    instances: dict[str, int],
    short: dict[str, int],
) -> None:
    assert short_of_stubs(living, ready, instances) == short


def test_a_load_is_stuck_when_it_has_lacked_a_stub_for_long() -> None:
    loads = StuckLoads()
    assert loads.observe(["a", "b"], 0.0) == []
    assert loads.observe(["a"], 20.0) == []
    assert loads.observe(["a", "b"], 31.0) == ["a"]
    assert loads.observe(["b"], 60.0) == []
    assert loads.observe(["b"], 62.0) == ["b"]


def test_the_same_strangers_are_looked_into_ever_more_rarely() -> None:
    turns = Turns()
    assert not turns.is_due([], 0.0)
    at = [now / 10 for now in range(2000) if turns.is_due([9], now / 10)]
    gaps = [after - before for before, after in pairwise(at)]
    assert at[0] == 0.0
    assert gaps == sorted(gaps)
    assert gaps[0] < 1.0 < gaps[-1] <= 61.0
    assert turns.is_due([8, 9], 200.0), "a new one"
    assert not turns.is_due([9], 200.1)


class TestLeftovers:
    CPU: ClassVar[dict[int, float]] = {7: 1.0, 8: 1.0}

    def due(self, leftovers: Leftovers, now: float, cpu: dict[int, float] | None = None) -> list:
        return leftovers.due(now, stub, {**self.CPU, **(cpu or {})}.__getitem__)

    def test_an_idle_one_is_due_once_after_its_grace(self) -> None:
        leftovers = Leftovers()
        leftovers.add([stub(7)], 0.0, self.CPU.__getitem__)
        assert self.due(leftovers, 4.0) == []
        assert self.due(leftovers, 6.0) == [stub(7)]
        assert self.due(leftovers, 30.0) == []

    def test_one_that_works_is_left_until_it_is_done(self) -> None:
        leftovers = Leftovers()
        leftovers.add([stub(7)], 0.0, self.CPU.__getitem__)
        assert self.due(leftovers, 6.0, {7: 5.0}) == []
        assert self.due(leftovers, 10.0, {7: 5.0}) == []
        assert self.due(leftovers, 12.0, {7: 5.0}) == [stub(7)]

    def test_one_that_is_gone_is_forgotten(self) -> None:
        leftovers = Leftovers()
        leftovers.add([stub(7)], 0.0, self.CPU.__getitem__)
        assert leftovers.due(6.0, lambda pid: None, self.CPU.__getitem__) == []
        assert not leftovers.waiting


@dataclass
class Asked:
    """Requests sent one after another: `(sent, model, error)` for each."""

    served: Served
    outcomes: list[tuple[float, str, str]] = field(default_factory=list)

    def ask(self, model: str, inputs: dict[str, np.ndarray], over: threading.Event) -> None:
        with self.served.client("grpc") as client:
            while not over.wait(PAUSE_S):
                sent, error = time.monotonic(), ""
                try:
                    client.infer(model, inputs)
                except TrimaranError as refused:
                    error = str(refused)
                self.outcomes.append((sent, model, error))

    def count(self, model: str) -> int:
        return sum(m == model for _, m, _ in self.outcomes)


def stubs_of(served: Served, model: str) -> dict[int, Stub]:
    found = find_server(served.repository)
    assert found is not None
    stubs = (identify_stub(pid) for pid in children(found.server_pid))
    return {s.pid: s for s in stubs if s is not None and s.model == model}


@pytest.mark.parametrize(
    "victim",
    [
        pytest.param("image_labels", marks=pytest.mark.long),
        "image_preprocess",
        "linear_torchscript",
    ],
)
def test_killed_stub_is_healed_under_load(served: Served, victim: str) -> None:
    other = "tokens_onnx"
    image = {"IMAGE": np.array([[CAT]], dtype=np.object_)}
    row = {"x__0": np.zeros((1, 8), np.float32)}
    tokens = {
        "tokens": np.zeros((1, 5), np.int64),
        "mask": np.ones((1, 5), bool),
        "scale": np.ones((1, 1), np.int8),
    }
    target, inputs = (
        (victim, row) if victim == "linear_torchscript" else ("image_classifier", image)
    )
    asked = Asked(served)
    twice = [partial(asked.ask, target, inputs)] * 2
    with repeating(*twice, partial(asked.ask, other, tokens)):
        wait_for(lambda: asked.count(target) > 5 and asked.count(other) > 5, 10, "the load")
        before = stubs_of(served, victim)
        pid = next(iter(before))
        printed = len(served.lines)
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: served.said(f"{victim}: healed", printed), HEALED_WITHIN_S, "the heal")
        healed = time.monotonic()
        sent_after = asked.count(target)
        wait_for(lambda: asked.count(target) > sent_after + 20, 20, "requests after the heal")
    assert served.said(f"(process {pid}) died", printed)
    assert healed - killed < HEALED_WITHIN_S
    after = stubs_of(served, victim)
    assert pid not in after
    assert len(after.keys() - before.keys()) == len(before)
    wait_for(lambda: not stubs_of(served, victim).keys() & before.keys(), 25, "the siblings' end")
    assert len(served.said("died", printed)) == 1
    assert stubs_of(served, victim).keys() == after.keys() - before.keys()
    failed = [o for o in asked.outcomes if o[2] and o[1] == target]
    assert failed, "no request met the dead stub, so nothing was proven"
    assert all(sent < healed for sent, _, _ in failed), failed
    assert not [o for o in asked.outcomes if o[2] and o[1] == other]


@pytest.mark.long
def test_every_killed_stub_of_a_model_is_healed_again(served: Served) -> None:
    """A second death of the same model is noticed like the first; its files stay as they are."""
    path = served.repository.live_path("linear_torchscript")
    before = path.read_text()
    seen = set()
    for _ in range(2):
        (pid,) = stubs_of(served, "linear_torchscript")
        assert pid not in seen
        seen.add(pid)
        printed = len(served.lines)
        os.kill(pid, signal.SIGKILL)
        wait_for(
            lambda since=printed: served.said("linear_torchscript: healed", since),
            30,
            "the heal",
        )
        with served.client() as client:
            client.infer("linear_torchscript", {"x__0": np.zeros((1, 8), np.float32)})
        assert path.read_text() == before


def test_stub_that_dies_before_it_was_seen_is_healed(served: Served) -> None:
    """Killed as soon as Triton has started it, while `trimaran serve` itself is stopped."""
    config = served.repository.config("linear_torchscript")
    first = stubs_of(served, "linear_torchscript").keys()
    printed = len(served.lines)
    served.process.send_signal(signal.SIGSTOP)
    try:
        served.control.load_given(with_generation(config, "of the test"))
        (second,) = wait_for(
            lambda: stubs_of(served, "linear_torchscript").keys() - first, 10, "the second stub"
        )
        os.kill(second, signal.SIGKILL)
        wait_for(lambda: not start_time(second), 10, "the kill")
    finally:
        served.process.send_signal(signal.SIGCONT)
    wait_for(lambda: served.said("linear_torchscript: healed", printed), 30, "the heal")
    assert served.said("linear_torchscript: a stub died as soon as it was started", printed)
    with served.client() as client:
        client.infer("linear_torchscript", {"x__0": np.zeros((1, 8), np.float32)})


def test_stub_that_dies_right_after_a_heal_is_healed(served: Served) -> None:
    """Killed before `trimaran serve` could see it, while the replaced stubs still live."""
    model = "image_preprocess"
    before = stubs_of(served, model).keys()
    assert len(before) > 1, "no stub is left behind by the heal, so nothing is proven"
    printed = len(served.lines)
    os.kill(min(before), signal.SIGKILL)
    log = served.repository.state / LOG
    loaded = log.stat().st_size
    try:
        wait_for(lambda: stubs_of(served, model).keys() - before, 10, "a new stub")
        served.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: said_after(log, loaded, f"successfully loaded '{model}'"), 30, "the load")
        new = stubs_of(served, model).keys() - before
        for pid in new:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(map(start_time, new)), 10, "the kill")
        assert stubs_of(served, model).keys() & before
    finally:
        served.process.send_signal(signal.SIGCONT)
    wait_for(lambda: len(served.said(f"{model}: healed", printed)) == 2, 30, "the second heal")
    wait_for(lambda: not stubs_of(served, model).keys() & (before | new), 30, "the siblings' end")
    assert len(stubs_of(served, model)) == len(before)
    assert len(served.said(f"{model}: healed", printed)) == 2
    with served.client() as client:
        client.infer("image_classifier", {"IMAGE": np.array([[CAT]], dtype=np.object_)})


def said_after(log: Path, offset: int, words: str) -> bool:
    return words in log.read_text(errors="replace")[offset:]


@pytest.mark.long
def test_death_while_the_server_does_not_answer_is_healed_during_a_deployment(
    served: Served,
) -> None:
    printed = len(served.lines)
    (pid,) = stubs_of(served, "linear_torchscript")
    with served.repository.deployment_lock(), served.repository.live_lock("tokens_onnx"):
        found = find_server(served.repository)
        assert found is not None
        os.kill(pid, signal.SIGKILL)
        os.kill(found.server_pid, signal.SIGSTOP)
        try:
            wait_for(lambda: served.said("does not answer", printed), 30, "the failed look")
        finally:
            os.kill(found.server_pid, signal.SIGCONT)
        wait_for(lambda: served.said("linear_torchscript: healed", printed), 30, "the heal")
    assert served.said(f"(process {pid}) died", printed)
