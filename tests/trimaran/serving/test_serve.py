"""`trimaran serve`: what starts, what is refused, and that nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from exporters.export import export_model
from exporters.original import run_original
from tests import models
from tests.running import PROJECT, Served, serve_to_the_end, start_serving, wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.repository.config import read_config, write_config
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.serving.stub_processes import identify_stub, shared_memory
from trimaran.system.processes import children, start_time


@pytest.fixture(scope="module")
def linear_repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One small ONNX model."""
    repository = Repository.create(tmp_path_factory.mktemp("linear") / "model_repository")
    result = export_model(run_original(models.linear(), 8), "onnx", repository, "test")
    assert result.publication is not None
    return repository


@pytest.fixture
def linear(linear_repository: Repository, tmp_path: Path) -> Repository:
    root = tmp_path / "model_repository"
    shutil.copytree(linear_repository.root, root)
    return Repository.open(root)


def answers(served: Served, model: str = "linear_onnx") -> bool:
    with served.client() as client:
        return client.infer(model, {"x": np.zeros((1, 8), np.float32)}).outputs["y"].shape == (1, 4)


def process_tree(served: Served) -> set[tuple[int, str]]:
    """The server and its stubs, each named for ever by its start time."""
    found = find_server(served.repository)
    assert found is not None
    pids = {found.server_pid, *children(found.server_pid)}
    return {(pid, start_time(pid)) for pid in pids}


def gone(processes: set[tuple[int, str]]) -> bool:
    return all(start_time(pid) != started for pid, started in processes)


@pytest.mark.parametrize(
    ("number", "place"), [(signal.SIGINT, "models"), (signal.SIGTERM, "my models/of today")]
)
def test_answers_from_any_path_and_stops_cleanly_on_a_signal(
    linear_repository: Repository, tmp_path: Path, number: signal.Signals, place: str
) -> None:
    shutil.copytree(linear_repository.root, tmp_path / place)
    linear = Repository.open(tmp_path / place)
    served = start_serving(linear)
    assert answers(served)
    processes = process_tree(served)
    assert len(processes) == 2
    assert served.stop(number) < 5
    assert served.process.returncode == 0
    assert gone(processes)
    assert find_server(linear) is None


def test_stops_within_five_seconds_with_a_dead_stub(linear: Repository) -> None:
    """The supervisor is stopped at the moment of the kill, so that the stub stays dead."""
    served = start_serving(linear)
    found = find_server(linear)
    assert found is not None
    (pid,) = [p for p in children(found.server_pid) if identify_stub(p)]
    processes = process_tree(served)
    regions = shared_memory(found.server_pid)
    assert regions
    served.process.send_signal(signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    served.process.send_signal(signal.SIGTERM)
    served.process.send_signal(signal.SIGCONT)
    assert served.stop(signal.SIGTERM) < 5
    assert gone(processes)
    assert not any(region.exists() for region in regions)


def test_server_ends_with_a_killed_trimaran(linear: Repository) -> None:
    served = start_serving(linear)
    processes = process_tree(served)
    served.stop(signal.SIGKILL)
    wait_for(lambda: gone(processes), 10, "the end of tritonserver and its stubs")
    assert find_server(linear) is None
    again = start_serving(linear)
    assert answers(again)
    again.stop()


def test_ended_server_is_told(linear: Repository) -> None:
    served = start_serving(linear)
    found = find_server(linear)
    assert found is not None
    os.kill(found.server_pid, signal.SIGKILL)
    assert served.process.wait(10) == 1
    served.stop(signal.SIGTERM)
    assert served.said("error: tritonserver ended by itself with status -9")


def test_second_server_on_a_repository_is_refused(linear: Repository) -> None:
    served = start_serving(linear)
    result = serve_to_the_end(linear.root)
    assert result.returncode == 1
    assert f"is already served by process {served.process.pid}" in result.stderr
    served.stop()


@pytest.mark.parametrize("option", ["http", "grpc", "metrics", "supervisor"])
def test_port_in_use(linear: Repository, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = serve_to_the_end(linear.root, f"--{option}-port", str(port))
    assert result.returncode == 1
    assert f"{option} port {port} on 127.0.0.1 cannot be used" in result.stderr
    assert f"--{option}-port" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--repository", "/nowhere"], 1, "/nowhere: no such model repository"),
        (["--model", "nothing"], 1, "has no model 'nothing'; it has linear_onnx"),
        (["--host", "0.0.0.0"], 2, "listens on loopback only"),  # noqa: S104
        (["--host", "example"], 2, "is not an address"),
        (["--tritonserver", "/nowhere"], 2, "/nowhere is no executable tritonserver"),
        (["--http-port", "0"], 1, "a port lies between 1 and 65535"),
        (["--http-port", "4711", "--grpc-port", "4711"], 1, "is given twice"),
    ],
)
def test_mistakes_are_one_sentence(
    linear: Repository, arguments: list[str], status: int, message: str
) -> None:
    result = serve_to_the_end(linear.root, *arguments)
    assert result.returncode == status, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_fresh_clone_without_versions_says_what_to_do(tmp_path: Path) -> None:
    """As after `git clone`: configurations, and no version of anything."""
    clone = tmp_path / "clone"
    tracked = subprocess.run(
        ["git", "ls-files", "model_repository"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in tracked.stdout.splitlines():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / name, clone / name)
    root = clone / "model_repository"
    result = serve_to_the_end(root)
    assert result.returncode == 1
    assert "nothing can be served; publish a model with 'trimaran export'" in result.stderr
    status = call_trimaran("status", "--repository", root)
    assert status.status == 0
    assert "no version yet" in status.stdout
    release = call_trimaran("release", "image_classifier", "--repository", root)
    assert release.status == 1
    assert "has no complete version to release" in release.stderr


def damage_truncated(repository: Repository, name: str) -> str:
    shutil.copytree(repository.model("linear_onnx"), repository.model(name))
    config = read_config(repository.config_path(name))
    config.name = name
    write_config(repository.config_path(name), config)
    path = repository.model(name) / "1" / "model.onnx"
    path.write_bytes(path.read_bytes()[:100])
    return "model.onnx has 100 bytes"


def damage_no_file(repository: Repository, name: str) -> str:
    damage_truncated(repository, name)
    shutil.rmtree(repository.model(name) / "1")
    (repository.model(name) / "1").mkdir()
    return "unable to find"


def damage_config(repository: Repository, name: str) -> str:
    repository.model(name).mkdir()
    repository.config_path(name).write_text(f'name: "{name}"\nmax_batch_size: many\n')
    return "line 2, column 17"


def damage_name(repository: Repository, name: str) -> str:
    repository.model(name).mkdir()
    repository.config_path(name).write_text('name: "other"\nbackend: "python"\n')
    return f"name is 'other' but the directory is '{name}'"


def damage_foreign_garbage(repository: Repository, name: str) -> str:
    """A hand-made model without a manifest, which Triton itself refuses."""
    damage_truncated(repository, name)
    (repository.model(name) / "1" / "manifest.json").unlink()
    return "ModelProto does not have a graph|Protobuf parsing failed|INVALID_PROTOBUF"


DAMAGES = (damage_truncated, damage_no_file, damage_config, damage_name, damage_foreign_garbage)


def test_broken_models_are_told_and_the_rest_served(linear: Repository) -> None:
    reasons = {damage.__name__: damage(linear, damage.__name__) for damage in DAMAGES}
    served = start_serving(linear)
    try:
        flat = "".join(served.lines).replace("│", "").replace(" ", "")
        for name, reason in reasons.items():
            assert name in flat
            wanted = [part.replace(" ", "") for part in reason.split("|")]
            assert any(part in flat for part in wanted), flat
        assert answers(served)
    finally:
        served.stop()


def test_half_written_version_is_passed_over(linear: Repository) -> None:
    """A newer version that some killed tool left behind; the complete one serves."""
    half = linear.model("linear_onnx") / "2"
    half.mkdir()
    whole = linear.model("linear_onnx") / "1" / "model.onnx"
    (half / "model.onnx").write_bytes(whole.read_bytes()[:50])
    status = call_trimaran("status", "--repository", linear.root)
    assert "unusable: has no manifest.json" in status.stdout
    served = start_serving(linear)
    try:
        assert served.control.ready_versions("linear_onnx") == {1}
        assert served.said("version 2 of linear_onnx is passed over: has no manifest.json")
        assert answers(served)
    finally:
        served.stop()


def test_model_without_a_configuration_is_left_to_triton(linear: Repository) -> None:
    """Triton completes it from the file; a directory that is no model is passed over."""
    shutil.copytree(linear.model("linear_onnx"), linear.model("bare"))
    linear.config_path("bare").unlink()
    (linear.root / "notes").mkdir()
    (linear.root / "notes" / "readme.txt").write_text("not a model")
    served = start_serving(linear)
    try:
        assert answers(served, "bare")
        assert not served.said("notes")
    finally:
        served.stop()


def test_newer_version_is_served_after_a_restart(linear: Repository) -> None:
    served = start_serving(linear)
    assert served.control.ready_versions("linear_onnx") == {1}
    served.stop()
    original = run_original(models.linear_other_weights(), 8)
    result = export_model(original, "onnx", linear, "test")
    assert result.publication is not None
    assert result.publication.version == 2
    served = start_serving(linear)
    assert served.control.ready_versions("linear_onnx") == {2}
    served.stop()


def test_own_version_policy_is_respected(linear: Repository) -> None:
    path = linear.config_path("linear_onnx")
    config = read_config(path)
    config.version_policy.specific.versions.append(1)
    write_config(path, config)
    original = run_original(models.linear_other_weights(), 8)
    export_model(original, "onnx", linear, "test")
    served = start_serving(linear)
    assert served.control.ready_versions("linear_onnx") == {1}
    served.stop()


def test_only_named_models_are_served(own_repository: Repository) -> None:
    alone = start_serving(own_repository, "--model", "linear_onnx", "--model", "tokens_onnx")
    ready = {state.name for state in alone.control.index() if state.state == "READY"}
    alone.stop()
    assert ready == {"linear_onnx", "tokens_onnx"}
