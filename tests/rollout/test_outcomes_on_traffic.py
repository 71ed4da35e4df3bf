"""An A/B test of two trained releases with outcomes to a verdict, on real Triton and Envoy."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from tests.gateway.door import Door
from tests.rollout.shop import customers
from tests.running import Running, Served, repeating, start_serving, wait_for
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment

pytestmark = pytest.mark.long

MODEL = "shop_record"
PLAN = """
latency = false
answers = 0.7

[[goals]]
name = "accuracy"
margin = 0.05

[[goals]]
name = "sales"
low = 0
high = 100
margin = 10
"""


@dataclass
class Shop:
    """A server whose release 1 is live; release 2 was trained on outcomes at random."""

    folder: Path
    served: Served
    door: Door

    @property
    def repository(self) -> Repository:
        return self.served.repository

    def call(self, *arguments: str) -> Outcome:
        outcome = call_trimaran(*arguments, cwd=self.folder)
        assert outcome.status == 0, outcome.stderr
        return outcome

    def began(self) -> Running:
        options = ("--release=2", "--plan", self.folder / "plan.toml", "--key", "customer-id")
        root = ("--by=anna", "--repository", self.repository.root)
        return Running("ab", MODEL, *options, *root)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    good = customers(600, 0)
    bad = good.assign(left=good["left"].sample(frac=1, random_state=0).to_numpy())
    repository = Repository.create(folder / "model_repository")
    for table in (good, bad):
        table.to_csv(folder / "shop.csv", index=False)
        for command in (
            "train shop.csv --target left --model linear",
            "export runs/shop/latest --format onnx",
            "publish runs/shop/latest",
        ):
            outcome = call_trimaran(*command.split(), cwd=folder)
            assert outcome.status == 0, outcome.stderr
    (folder / "plan.toml").write_text(PLAN)
    outcome = call_trimaran("deploy", MODEL, "--release", "1", cwd=folder)
    assert outcome.status == 0, outcome.stderr
    served = start_serving(
        repository, "--model", MODEL, "--model", "shop_feedback", "--log-predictions"
    )
    limits = "[limits]\nrequests_per_second = 100000"
    door = Door(repository, folder / "gateway.toml", limits)
    door.until_said("Press Ctrl-C to stop", 60)
    yield Shop(folder, served, door)
    door.stop()
    served.stop()


@dataclass
class Clients:
    """What clients asked for, and which release answered each of them."""

    asked: pd.DataFrame
    releases: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def outcomes(self, columns: dict[str, pd.Series]) -> pd.DataFrame:
        """A row for each client that was answered."""
        answered = self.asked["customer_id"].isin(list(self.releases))
        return pd.DataFrame({"customer_id": self.asked["customer_id"], **columns})[answered]


@contextmanager
def asking(shop: Shop) -> Iterator[Clients]:
    """Clients ask during the block, each of them once."""
    clients = Clients(customers(20_000, 7, first=10_000))
    bearer = shop.door.bearer(f"infer:{MODEL}")
    rows = iter(clients.asked.to_dict("records"))
    lock = threading.Lock()

    def ask(over: threading.Event) -> None:
        while not over.is_set():
            with lock:
                row = next(rows)
            name = row["customer_id"]
            reply = shop.door.ask(
                "POST",
                f"/models/{MODEL}/predict",
                record={
                    "RECORD": f'{{"calls": {row["calls"]}, "plan": "{row["plan"]}"}}',
                    "customer_id": name,
                },
                headers={**bearer, "customer-id": name},
            )
            if reply.status == 200:
                clients.releases[name] = reply.headers["x-trimaran-version"]
            else:
                clients.failures.append(f"{reply.status} {reply.body!r}")

    with repeating(ask, ask):
        yield clients


def test_a_release_that_is_right_less_often_is_found_by_late_outcomes(shop: Shop) -> None:
    conductor = shop.began()
    conductor.until_said("gets 50 % of the traffic", 60)
    with asking(shop) as clients:
        wait_for(lambda: len(clients.releases) > 150, 60, "answers of both")
        amounts: list[int] = []
        wait_for(
            lambda: amounts.append(tell_sales(shop, clients)) or sum(amounts) > 100,
            60,
            "clients that the experiment has seen",
        )
        os.kill(conductor.process.pid, signal.SIGKILL)
        conductor.stop()
        assert tell(shop, clients, "left").status == 0
        conductor = shop.began()
        conductor.until_said("gets 50 % of the traffic", 60)
        since = len(clients.releases)
        for number in itertools.count(1):
            wait_for(lambda n=number: len(clients.releases) > since + 100 * n, 60, "more answers")
            tell(shop, clients, "left")
            if conductor.process.poll() is not None:
                break
    conductor.stop()
    assert not clients.failures
    said = "abort: The candidate's accuracy is proven to be worse"
    assert conductor.said(said), "\n".join(conductor.lines)
    assert conductor.process.returncode == 1
    state = Experiment.open(shop.repository, MODEL).state
    (segment,) = state.segments
    right = {"live": segment.live.seen, "candidate": segment.candidate.seen}
    by_release = pd.Series(clients.releases)
    for arm, release in state.releases.items():
        seen = right[arm]
        most = (by_release == release).sum()
        assert 30 < seen.outcomes["accuracy"].count <= most
        assert 30 < sum(seen.answers.values()) <= most
        assert 30 < seen.units <= most
    live, candidate = (right[arm].outcomes["accuracy"] for arm in ("live", "candidate"))
    assert live.total / live.count > candidate.total / candidate.count + 0.1
    counted = {arm: seen.outcomes["sales"].count for arm, seen in right.items()}
    assert sum(counted.values()) == sum(amounts)
    assert min(counted.values()) > 30
    again = call_trimaran(
        *("experiment", "outcomes", MODEL, "sales.csv", "--goal=sales"),
        *("--key=customer_id", "--value=amount"),
        cwd=shop.folder,
    )
    assert "further outcomes do not count" in again.stderr


def tell(shop: Shop, clients: Clients, column: str) -> Outcome:
    """Record the true outcomes of those who were answered; those told before are known."""
    outcomes = clients.outcomes({"outcome": clients.asked[column]})
    outcomes.to_csv(shop.folder / "outcomes.csv", index=False)
    return call_trimaran("feedback", "shop", "--input", "outcomes.csv", cwd=shop.folder)


def tell_sales(shop: Shop, clients: Clients) -> int:
    """Record what clients who took part bought, twice; how many they are."""
    amounts = clients.outcomes({"amount": clients.asked["calls"] * 5})
    amounts.to_csv(shop.folder / "sales.csv", index=False)
    command = ("experiment", "outcomes", MODEL, "sales.csv", "--goal=sales", "--key=customer_id")
    first, second = (
        call_trimaran(*command, "--value=amount", "--json", cwd=shop.folder) for _ in range(2)
    )
    found, again = (json.loads(each.stdout) for each in (first, second))
    assert found["counted"] + found["known"] + found["unseen"] == len(amounts)
    assert again["known"] >= found["counted"]
    return int(found["counted"] + again["counted"])
