"""The server under test: found by its repository or address, or started for the measurement."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from loadtests.gates import INVALID
from loadtests.reports.run import StepTimes
from trimaran.repository.config import ModelConfig, read_config
from trimaran.repository.live import live_versions, pinned_versions
from trimaran.repository.presence import running_server
from trimaran.repository.repository import Repository
from trimaran.rollout.selection import select
from trimaran.serving.control import Control
from trimaran.serving.denial import DeniedError
from trimaran.serving.runtime import OnnxBackend, find_runtime
from trimaran.serving.server import private_server
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.reaching import why_unreachable

__all__ = [
    "Reading",
    "Service",
    "find_service",
    "hidden_steps",
    "private_service",
    "read_statistics",
    "statistics_after",
    "steps_between",
    "unseen",
    "unusable",
    "variant",
]

Reading = Mapping[tuple[str, str], Mapping[str, Any]]
"""Triton's statistics by model and version."""

_COUNTED_AFTER_S = 0.5
_LOOK_EVERY_S = 0.02

_PARTS = ("queue", "compute_input", "compute_infer", "compute_output")


@dataclass(frozen=True)
class Service:
    """A running server. `pid` is `None` where it is not a process of this machine.

    `secret` opens the APIs that change it, such as shared memory. `given` is a repository that was
    named besides the server's address.
    """

    endpoint: Endpoint
    control: Control
    pid: int | None = None
    repository: Repository | None = None
    secret: str = field(default="", repr=False)
    given: Repository | None = None

    @property
    def published(self) -> Repository | None:
        """Where its models were published, as far as that is known."""
        return self.repository or self.given

    def config(self, model: str, version: str = "") -> ModelConfig:
        """The configuration of a model that is ready.

        Where a gateway keeps it to itself, that of the repository here. Raises `TrimaranError`
        that says what is served instead, or why it is not ready.
        """
        try:
            ready = self.control.metadata(model).get("versions", [])
        except DeniedError as error:
            if error.asks_who or self.given is None or not self.given.has_config(model):
                raise
            return self.given.config(model)
        except TrimaranError as error:
            raise TrimaranError(self._why_not(model, error)) from error
        if version and version not in ready:
            raise TrimaranError(
                f"{self._where}: {model} has no ready version {version}; it has {', '.join(ready)}"
            )
        found = ModelConfig()
        json_format.ParseDict(self.control.config(model), found, ignore_unknown_fields=True)
        return found

    @property
    def _where(self) -> str:
        return f"the server at {self.endpoint}"

    def _why_not(self, model: str, error: TrimaranError) -> str:
        """Why a model is not ready, by the server's index of its repository if that is open."""
        try:
            index = self.control.index()
        except TrimaranError:
            return f"{self._where} has no model {model!r} that is ready: {error}"
        mine = [item for item in index if item.name == model]
        if not mine:
            served = sorted({item.name for item in index if item.state == "READY"})
            return f"{self._where} has no model {model!r}; it serves {', '.join(served)}"
        reason = next((item.reason for item in mine if item.reason), "it was not loaded")
        return f"{self._where}: {model} is not ready: {reason}"

    def models(self, model: str) -> Mapping[str, ModelConfig]:
        """The configurations of a model and, for an ensemble, of all its steps, by name.

        A gateway may keep the steps to itself; these are left out.
        """
        found: dict[str, ModelConfig] = {}
        wanted = [model]
        while wanted:
            name = wanted.pop(0)
            if name in found:
                continue
            try:
                found[name] = self.config(name)
            except TrimaranError:
                if name == model or self.pid is not None:
                    raise
                continue
            wanted += [step.model_name for step in found[name].ensemble_scheduling.step]
        return found


def find_service(root: Path, address: Endpoint | None = None) -> Service:
    """The server that serves the repository at `root`, or another one at an address.

    Raises `TrimaranError` where none answers.
    """
    found = running_server(root, address)
    endpoint = found.endpoint
    control = Control(endpoint, found.secret)
    given = Repository.open(root) if root.is_dir() else None
    service = Service(endpoint, control, found.pid, found.repository, found.secret, given)
    if not service.control.is_live():
        if found.repository:
            raise TrimaranError(f"no server answers at {endpoint}; stop and start 'trimaran serve'")
        raise TrimaranError(why_unreachable(endpoint) or _no_server(endpoint))
    return service


def _no_server(endpoint: Endpoint) -> str:
    if endpoint.secure:
        return f"{endpoint} answers, but no server behind it is ready; start 'trimaran serve' there"
    return f"no server answers at {endpoint}; start it, or correct --host and --http-port"


@contextmanager
def unusable() -> Iterator[None]:
    """What cannot be measured at all ends like an invalid run: with exit status 2."""
    try:
        yield
    except KeyboardInterrupt:
        stopped = TrimaranError("interrupted before anything was measured")
        stopped.exit_status = INVALID
        raise stopped from None
    except TrimaranError as error:
        error.exit_status = INVALID
        raise


@contextmanager
def private_service(
    repository: Repository,
    models: Sequence[str],
    onnx_backend: OnnxBackend | None = None,
    *,
    alongside: bool = False,
) -> Iterator[Service]:
    """A server for the block, on free ports, of what is live of these models and their steps.

    Raises `TrimaranError` where the repository is served already, unless `alongside` allows the
    other server, or no release is live.
    """
    selection = select(repository, models)
    if selection.problems:
        name, problem = selection.problems[0]
        raise TrimaranError(f"{name}: {problem}")
    if selection.deploy:
        name, _ = selection.deploy[0]
        raise TrimaranError(
            f"no release of {name} is live; make one live first: 'trimaran deploy {name}'"
        )
    runtime = find_runtime(onnx_backend=onnx_backend)
    with private_server(runtime, repository, selection.load, alongside=alongside) as server:
        yield Service(
            server.endpoint, server.control, server.process.pid, repository, server.secret
        )


@contextmanager
def variant(service: Service, model: str, config_file: Path) -> Iterator[str]:
    """Serve `model` under another name with the configuration of `config_file`; that name.

    The files are those of the live version, the steps of an ensemble those of the live release.
    The model is unloaded after the block, and nothing is written into the repository. Raises
    `TrimaranError` where the server refuses it.
    """
    if service.repository is None:
        raise UsageError("--vs-config needs the server's repository, so leave --host and --url out")
    name = f"{model}_variant"
    if name in {item.name for item in service.control.index()}:
        raise TrimaranError(f"the server has a model {name!r} already; unload or rename it")
    config = read_config(config_file)
    config.name = name
    config.ClearField("version_policy")
    live = live_versions(service.repository.live(model))
    if not live:
        raise TrimaranError(f"no version of {model} is live")
    directory = service.repository.model(model) / str(max(live))
    pins = pinned_versions(service.repository.live(model) or config)
    for step in config.ensemble_scheduling.step:
        if step.model_version < 0:
            step.model_version = pins.get(step.model_name, -1)
    service.control.load_given(config, _version_files(directory, 1))
    try:
        yield name
    finally:
        with suppress(TrimaranError):  # the run itself reports a server that went away
            service.control.unload(name)


def _version_files(directory: Path, number: int) -> dict[str, bytes]:
    """The files of `directory`, by their paths in version `number`: see `Control.load_given`."""
    return {
        f"{number}/{path.relative_to(directory)}": path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def read_statistics(control: Control, models: Iterable[str]) -> Reading:
    """Triton's statistics of these models until now."""
    return {
        (name, entry["version"]): entry for name in models for entry in control.statistics(name)
    }


def statistics_after(
    control: Control, models: Iterable[str], before: Reading, answered: int
) -> Reading:
    """The statistics once they hold `answered` requests more, or after half a second.

    Triton counts a request shortly after it sent the answer.
    """
    names = tuple(models)
    deadline = time.monotonic() + _COUNTED_AFTER_S
    while True:
        found = read_statistics(control, names)
        new = [_count(entry) - _count(before.get(at, {})) for at, entry in found.items()]
        # Versions that took no request stay as they were.
        behind = max(new, default=0) < answered or any(0 < count < answered for count in new)
        if not behind or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_EVERY_S)


def hidden_steps(models: Mapping[str, ModelConfig]) -> list[str]:
    """The steps of ensembles that a gateway keeps to itself, of what `Service.models` found."""
    steps = {
        step.model_name for config in models.values() for step in config.ensemble_scheduling.step
    }
    return sorted(steps - models.keys())


def unseen(
    control: Control, models: Iterable[str], hidden: Sequence[str], pid: int | None
) -> Iterator[str]:
    """In words, each figure of a server that cannot be read from here."""
    if pid is None:
        yield "the server's CPU is not known here, and is left out"
    try:
        read_statistics(control, models)
    except TrimaranError as error:
        yield f"Triton's own times are left out: {error}"
        return
    if hidden:
        yield f"Triton's times of the steps are left out, which are not shown: {', '.join(hidden)}"


def steps_between(before: Reading, after: Reading) -> list[StepTimes]:
    """Means over the requests between two readings, in the order of the later one.

    Versions without a request between them are left out. A version with a lower count than
    before was reloaded, and is counted from 0.
    """
    steps = []
    for (model, version), entry in after.items():
        earlier: Mapping[str, Any] = before.get((model, version), {})
        if _count(entry) < _count(earlier):
            earlier = {}
        requests = _count(entry) - _count(earlier)
        if requests <= 0:
            continue
        executions = _number(entry, "execution_count") - _number(earlier, "execution_count")
        rows = _number(entry, "inference_count") - _number(earlier, "inference_count")
        times = [_ns(entry, part) - _ns(earlier, part) for part in _PARTS]
        # Triton counts the executions of an ensemble too, which are not batches.
        batch = rows / executions if executions and any(times[1:]) else 0.0
        queue, compute_input, infer, output = (ns / requests / 1e6 for ns in times)
        steps.append(
            StepTimes(model, version, requests, batch, queue, compute_input, infer, output)
        )
    return steps


def _count(entry: Mapping[str, Any]) -> int:
    return int(entry.get("inference_stats", {}).get("success", {}).get("count", 0))


def _ns(entry: Mapping[str, Any], part: str) -> int:
    return int(entry.get("inference_stats", {}).get(part, {}).get("ns", 0))


def _number(entry: Mapping[str, Any], name: str) -> int:
    return int(entry.get(name, 0))
