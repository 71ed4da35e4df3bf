"""A candidate's own server: a `trimaran serve` on a repository that holds its release alone.

The live server has one configuration for each model, which pins the steps of the live release. So
a second release of the same name needs a second server. That also keeps a candidate that crashes,
leaks or hangs away from what is live, and its answers name the release as any other's do. It costs
the memory of another Triton and of the release's steps.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import urllib3

from trimaran.checks.raising import checked_config
from trimaran.publishing.releases import read_release, verify_release
from trimaran.repository.config import ModelConfig, is_ensemble, write_config
from trimaran.repository.live import LiveRelease, render_deployed, render_step
from trimaran.repository.repository import Repository
from trimaran.serving.client import Client
from trimaran.serving.control import last_words
from trimaran.serving.embedded_config import write_live
from trimaran.serving.golden import check_golden, read_golden
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import Ports, free_ports
from trimaran.system.processes import STDOUT, Child

__all__ = ["CandidateServer", "candidate_server", "lay_out"]

_LOOK_S = 0.1
_END_S = 10.0
_LOG = "serve.log"
_POLITELY = ("nice", "-n", "10")
"""No client waits for a shadow's answers."""
_PREDICTIONS = "TRIMARAN_PREDICTIONS"


class CandidateServer:
    """A candidate's server that answered its golden requests."""

    def __init__(self, process: Child, ports: Ports, log: Path, golden: int) -> None:
        self.process = process
        self.ports = ports
        self.golden = golden
        self._log = log

    @property
    def problem(self) -> str:
        """Why it is no more; empty while it runs."""
        if not self.process.has_ended():
            return ""
        return f"its server ended by itself with status {self.process.status}; see {self._log}"


@contextmanager
def candidate_server(
    repository: Repository,
    model: str,
    release: int,
    place: Path,
    tritonserver: Path | None = None,
    *,
    shadow: bool = False,
) -> Iterator[CandidateServer]:
    """Serve a release, or a version of a model, in a server of its own during the block.

    `place` is a directory for the repository that it serves. Its predictions are logged where those
    of what is live are, but not those of a `shadow`, which also has a lower priority. Raises
    `TrimaranError` where the release is damaged, is not served or fails a golden request.
    """
    own = lay_out(repository, model, release, place)
    requests = read_golden(own, checked_config(own, model))
    ports = free_ports()
    log = place / _LOG
    with log.open("wb") as output:
        process = Child(
            [*(_POLITELY if shadow else ()), *_command(own, model, ports, tritonserver)],
            stdout=output,
            stderr=STDOUT,
            environment=None if shadow else _environment(repository),
        )
    try:
        try:
            _wait_until_ready(process, ports, log)
            with Client(Endpoint.of(ports)) as client:
                check_golden(client, model, requests)
        except TrimaranError as error:
            raise TrimaranError(f"{model} {release} gets no traffic: {error}") from error
        yield CandidateServer(process, ports, log, len(requests))
    finally:
        process.end(_END_S)


def lay_out(repository: Repository, model: str, release: int, place: Path) -> Repository:
    """A repository at `place` whose live release of a model is `release`, made of hard links.

    Raises `TrimaranError` where the release is damaged.
    """
    shutil.rmtree(place, ignore_errors=True)
    own = Repository.create(place / repository.root.name)
    version = repository.version(model, release)
    damage = version.manifest and version.manifest.damage(version.path, hashes=True)
    if damage:
        raise TrimaranError(f"{model} {release} cannot be served: {damage}")
    config = checked_config(repository, model)
    pins: Mapping[str, int] = {}
    if is_ensemble(config):
        recorded = read_release(repository, model, release)
        verify_release(repository, recorded)
        pins = recorded.pins
        config = recorded.config(model)
        for step, number in pins.items():
            made = recorded.config(step)
            _link(repository, own, made, number)
            write_live(own, render_step(made, [number]))
    _link(repository, own, config, release)
    golden = repository.model(model) / "golden"
    if golden.is_dir():
        shutil.copytree(golden, own.model(model) / "golden")
    write_live(own, render_deployed(config, LiveRelease(release), pins))
    return own


def _link(repository: Repository, own: Repository, config: ModelConfig, number: int) -> None:
    """Give the own repository a version of a model, and its configuration."""
    name = config.name
    own.model(name).mkdir(exist_ok=True)
    source = repository.version(name, number).path
    shutil.copytree(source, own.model(name) / str(number), copy_function=os.link)
    write_config(own.config_path(name), config)


def _command(
    own: Repository, model: str, ports: Ports, tritonserver: Path | None
) -> list[str | Path]:
    numbers = {
        "--http-port": ports.http,
        "--grpc-port": ports.grpc,
        "--metrics-port": ports.metrics,
        "--supervisor-port": ports.supervisor,
    }
    command: list[str | Path] = [sys.executable, "-m", "trimaran", "serve", "--model", model]
    command += ["--repository", own.root]
    command += [str(part) for option in numbers.items() for part in option]
    return command + (["--tritonserver", tritonserver] if tritonserver else [])


def _environment(repository: Repository) -> Mapping[str, str]:
    """As this one's; where predictions are logged, the candidate's are logged there too."""
    log = repository.state / "predictions"
    return {**os.environ, **({_PREDICTIONS: str(log)} if log.is_dir() else {})}


def _wait_until_ready(process: Child, ports: Ports, log: Path) -> None:
    with urllib3.PoolManager(retries=False, timeout=2.0) as pool:
        while not process.wait(_LOOK_S):
            try:
                answer = pool.request("GET", f"http://{ports.host}:{ports.supervisor}/ready")
            except urllib3.exceptions.HTTPError:
                continue
            if answer.status == HTTPStatus.OK:
                return
    raise TrimaranError(f"the candidate's server did not start{last_words(log)}")
