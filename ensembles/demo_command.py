"""`trimaran demo`: export, publish, release, deploy, serve, classify, stop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from trimaran.cli.options import DEFAULT_REPOSITORY, RepositoryPath
from trimaran.publishing.releases import Release, make_release, read_release, step_models
from trimaran.repository.presence import find_server, server_secret
from trimaran.repository.repository import Repository
from trimaran.rollout.deployment import deploy
from trimaran.rollout.fleet import Fleet
from trimaran.serving.client import Answer, Client, Protocol
from trimaran.serving.control import Control
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import private_server
from trimaran.system.compiler import find_compiler
from trimaran.system.console import console
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["demo"]

_MODEL_FACTORY = "exporters.efficientnet_lite0:model"
_ENSEMBLE_FACTORY = "ensembles.efficientnet_lite0:onnx_ensemble"
_AOTI = "aoti"
_FORMATS = ("onnx", _AOTI)
_PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")
_REPEATS = 5

_screen = console()


def demo(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Photographs to classify, in addition to the examples."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Export again what is there already.")] = False,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Classify photographs with a real Triton, from a trained PyTorch model."""
    began = time.monotonic()
    missing = [path for path in files or [] if not path.is_file()]
    if missing:
        raise UsageError(f"there is no file {missing[0]}")
    opened = Repository.create(repository)
    _heading("1. The trained model, exported and compared with PyTorch")
    _export(opened, fresh)
    _heading("2. The ensemble and its release")
    ensemble, release = _release(opened)
    _heading("3. A real Triton serves it")
    with _server(opened) as (control, endpoint):
        with Client(endpoint) as client:
            deployment = deploy(opened, Fleet.of_one(control, client, _say), ensemble, release)
        _say(str(deployment))
        _heading("4. Photographs, over HTTP and gRPC")
        _classify(endpoint, ensemble, _photographs(files or []))
        _heading("5. Where the time goes, from Triton's own statistics")
        _screen.print(_step_times(control, read_release(opened, ensemble, release)))
    _say(f"done in {time.monotonic() - began:.1f} s")


def _heading(text: str) -> None:
    _screen.print(f"\n[bold]{text}[/bold]", highlight=False)


def _say(text: str) -> None:
    _screen.print(f"  {text}", highlight=False, soft_wrap=True)


def _export(repository: Repository, fresh: bool) -> None:
    """Export each format of which no version made by the same factory stands already.

    AOTInductor's is left out where there is no C++ compiler, and compiled for the CPU, where every
    machine can serve it.
    """
    standing = {} if fresh else _standing_parity(repository)
    for line in standing.values():
        _say(line)
    if standing:
        _say("already exported; --fresh exports again")
    formats = [format for format in _FORMATS if format not in standing]
    if _AOTI in formats:
        try:
            find_compiler()
        except TrimaranError as error:
            _say(f"without AOTInductor, which needs a C++ compiler: {error}")
            formats.remove(_AOTI)
        else:
            _say("AOTInductor compiles native code: about a minute the first time")
    if not formats:
        return
    from exporters.export_command import export_formats

    device = "cpu" if _AOTI in formats else "auto"
    export_formats(_MODEL_FACTORY, formats, repository, device=device)


def _standing_parity(repository: Repository) -> dict[str, str]:
    """What was found out about each format's newest version, where this factory made it."""
    found = {}
    for format in _FORMATS:
        name = f"efficientnet_lite0_{format}"
        newest = repository.newest(name)
        if newest and newest.manifest and newest.manifest.source.get("factory") == _MODEL_FACTORY:
            error = max(row["largest_error"] for row in newest.manifest.parity)
            found[format] = f"{name} version {newest.number}: largest error {error:.3g}"
    return found


def _release(repository: Repository) -> tuple[str, int]:
    from ensembles.publish import publish_pipeline
    from trimaran.system.factory import call_factory

    pipeline = call_factory(_ENSEMBLE_FACTORY)
    for publication in publish_pipeline(repository, pipeline, _ENSEMBLE_FACTORY):
        _say(str(publication))
    made = make_release(repository, pipeline.ensemble.name)
    pins = read_release(repository, made.model, made.version).pins
    steps = " → ".join(f"{step.name} {pins[step.name]}" for step in pipeline.ensemble.steps)
    _say(f"{made.model} release {made.version}{' (unchanged)' * made.unchanged}: {steps}")
    return made.model, made.version


@contextmanager
def _server(repository: Repository) -> Iterator[tuple[Control, Endpoint]]:
    """The repository's running server, or one for the time of the demonstration."""
    found = find_server(repository)
    if found is not None:
        _say(f"using the server that runs on HTTP port {found.ports.http}")
        yield Control(found.endpoint, server_secret(repository, found.name)), found.endpoint
        return
    runtime = find_runtime()
    began = time.monotonic()
    with private_server(runtime, repository) as server:
        _say(
            f"tritonserver {runtime.version} runs after {time.monotonic() - began:.2f} s "
            f"(process {server.process.pid}, HTTP port {server.ports.http})"
        )
        if runtime.note:
            _say(runtime.note)
        elif runtime.onnx_backend is not None:
            _say(f"ONNX models are served by {runtime.onnx_backend.words}")
        if server.note:
            _say(server.note)
        yield server.control, server.endpoint
    _say("the server is stopped")


def _photographs(files: Sequence[Path]) -> list[tuple[str, bytes]]:
    from trimaran.training.image_data import photographs

    return [*photographs().items(), *((path.name, path.read_bytes()) for path in files)]


def _classify(endpoint: Endpoint, ensemble: str, images: Sequence[tuple[str, bytes]]) -> None:
    clients: dict[str, Client] = {protocol: Client(endpoint, protocol) for protocol in _PROTOCOLS}
    for name, data in images:
        inputs = {"IMAGE": np.array([[data]], dtype=np.object_)}
        try:
            answers = {p: _best_of(client, ensemble, inputs) for p, client in clients.items()}
        except TrimaranError as error:
            _say(f"{name}: {error}")
            continue
        _require_equal(name, answers["http"], answers["grpc"])
        _screen.print(_labels_table(name, answers))
    for client in clients.values():
        client.close()


def _best_of(client: Client, ensemble: str, inputs: Mapping[str, np.ndarray]) -> Answer:
    answers = [client.infer(ensemble, inputs) for _ in range(_REPEATS)]
    return min(answers, key=lambda answer: answer.latency_s)


def _require_equal(name: str, http: Answer, grpc: Answer) -> None:
    for output, array in http.outputs.items():
        if not np.array_equal(array, grpc.outputs[output]):
            raise TrimaranError(f"{name}: {output} differs between HTTP and gRPC")


def _labels_table(name: str, answers: Mapping[str, Answer]) -> Table:
    latencies = ", ".join(f"{p} {a.latency_s * 1e3:.1f} ms" for p, a in answers.items())
    table = Table(title=f"{name} ({latencies}, best of {_REPEATS})", title_justify="left")
    table.add_column("label", width=60)
    table.add_column("probability", justify="right")
    outputs = answers["http"].outputs
    for label, probability in zip(outputs["LABEL"][0], outputs["PROBABILITY"][0], strict=True):
        table.add_row(label.decode(), f"{probability:.3f}")
    return table


def _step_times(control: Control, release: Release) -> Table:
    """Mean milliseconds per request of each step, and of the ensemble."""
    table = Table(title="mean milliseconds per request", title_justify="left")
    table.add_column("model")
    for heading in ("requests", "queue", "compute input", "compute infer", "compute output"):
        table.add_column(heading, justify="right")
    for model in step_models(release.config(release.ensemble)):
        statistics = control.statistics(model, str(release.pins[model]))[0]["inference_stats"]
        table.add_row(model, str(statistics["success"]["count"]), *_means(statistics))
    overall = control.statistics(release.ensemble)[0]["inference_stats"]["success"]
    total = f"{_mean(overall):.2f} in total"
    table.add_row(release.ensemble, str(overall["count"]), "", "", total, "")
    return table


def _means(statistics: Mapping[str, Any]) -> Iterator[str]:
    for key in ("queue", "compute_input", "compute_infer", "compute_output"):
        yield f"{_mean(statistics[key]):.2f}"


def _mean(entry: Mapping[str, int]) -> float:
    return float(entry["ns"]) / 1e6 / max(int(entry["count"]), 1)
