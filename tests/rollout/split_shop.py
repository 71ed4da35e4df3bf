"""A shop whose traffic is split: how tests conduct an experiment there, and load it."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tritonclient.grpc
import tritonclient.http
import urllib3

from ensembles import PythonModel
from ensembles.pipeline import tensor
from ensembles.publish import publish_python_model
from tests.gateway.door import Door
from tests.running import Running, Served, repeating, wait_for
from tests.trimaran.calling import call_trimaran
from tests.trimaran.rollout.greeter import ENSEMBLE, MODEL, SOURCE
from trimaran.repository.live import live_release
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.traffic.split import Split
from trimaran.system.ports import Ports

GOOD, BAD, SILENT = 2, 3, 4
"""The releases beside the live one: as good, failing for half of the names, and not loading."""
FAILING = SOURCE.replace(
    "        greetings = [",
    "        if any(name[0, 0].startswith(b'b') for name in names):\n"
    '            raise ValueError("a name that begins with b")\n'
    "        greetings = [",
)


_PAUSE_S = 0.003
"""Between an answer and the next request, so that a test's load does not keep the whole machine."""


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
    load = Load()
    bearer = shop.door.bearer(f"infer:{ENSEMBLE}")
    clients = [f"{letter}{number}" for letter in "ab" for number in range(20)]

    def over_http(over: threading.Event) -> None:
        for client in itertools.cycle(clients):
            if over.wait(_PAUSE_S):
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

    def over_grpc(over: threading.Event) -> None:
        with shop.door.calls() as calls:
            for client in itertools.cycle(clients):
                if over.wait(_PAUSE_S):
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

    with repeating(over_http, over_grpc):
        yield load


def ended(running: Running, timeout_s: float = 120) -> int:
    """The status of a command that ends by itself."""
    wait_for(lambda: running.process.poll() is not None, timeout_s, "the end of the experiment")
    running.stop()
    return running.process.returncode


def candidates(shop: Shop) -> set[str]:
    """Which of the forty clients are the candidate's, by the key of the newest experiment."""
    experiment = shop.newest()
    key = (experiment.directory / "units.key").read_text()
    split = Split("", ENSEMBLE, "1", "2", experiment.state.segment.share, Ports(), digest_key=key)
    clients = [f"{letter}{number}" for letter in "ab" for number in range(20)]
    return {each for each in clients if split.arm(each) == "candidate"}
