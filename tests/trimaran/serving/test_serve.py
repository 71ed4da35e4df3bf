"""`trimaran serve`: what starts, what is refused, and that nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.running import (
    PROJECT,
    READY,
    Served,
    port_options,
    serve_to_the_end,
    start_serving,
    wait_for,
)
from tests.trimaran.calling import call_trimaran
from tests.trimaran.serving.refusal import serve_refused
from tests.trimaran.versions import model_config, publish_files, tensor
from trimaran.repository.config import read_config, write_config
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.serving.remains import Remains, Restarts, end_orphan, record_server
from trimaran.serving.stub_processes import identify_stub, shared_memory
from trimaran.system.processes import children, start_time


def publish_linear(repository: Repository, factor: float, name: str = "linear_onnx") -> int:
    """A version of a small ONNX model: `y = x W`, where `W` is `[8, 4]` of `factor`."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.full((8, 4), factor, np.float32), "W")
    shapes = (("x", 8), ("y", 4))
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, d]) for n, d in shapes)
    node = helper.make_node("MatMul", ["x", "W"], ["y"])
    graph = helper.make_graph([node], "graph", [x], [y], [weights])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    config = model_config(name, (tensor("x", "FP32", 8),), (tensor("y", "FP32", 4),))
    config.instance_group.add(count=1)
    files = {"model.onnx": model.SerializeToString()}
    return publish_files(repository, config, files).version


@pytest.fixture(scope="module")
def linear_repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One small ONNX model."""
    repository = Repository.create(tmp_path_factory.mktemp("linear") / "model_repository")
    assert publish_linear(repository, 1.0) == 1
    return repository


@pytest.fixture
def linear(linear_repository: Repository, tmp_path: Path) -> Repository:
    root = tmp_path / "model_repository"
    shutil.copytree(linear_repository.root, root)
    return Repository.open(root)


STUBS = "--onnx-backend=python"
"""Has the ONNX model served by a stub."""


def answers(served: Served, model: str = "linear_onnx") -> bool:
    with served.client() as client:
        return client.infer(model, {"x": np.zeros((1, 8), np.float32)}).outputs["y"].shape == (1, 4)


def process_tree(served: Served) -> set[tuple[int, str]]:
    """The server and its stubs, each named forever by its start time."""
    found = find_server(served.repository)
    assert found is not None
    pids = {found.server_pid, *children(found.server_pid)}
    return {(pid, start_time(pid)) for pid in pids}


def gone(processes: set[tuple[int, str]]) -> bool:
    return all(start_time(pid) != started for pid, started in processes)


def stops_cleanly(served: Served, number: signal.Signals) -> None:
    assert answers(served)
    processes = process_tree(served)
    assert len(processes) == 2
    served.stop(number)
    assert served.process.returncode == 0
    assert gone(processes)
    assert find_server(served.repository) is None


def test_answers_from_any_path_and_stops_cleanly_on_sigterm(
    linear_repository: Repository, tmp_path: Path
) -> None:
    place = tmp_path / "my models/of today"
    shutil.copytree(linear_repository.root, place)
    stops_cleanly(start_serving(Repository.open(place), STUBS), signal.SIGTERM)


def test_stops_within_five_seconds_with_a_dead_stub(linear: Repository) -> None:
    """The supervisor is stopped at the moment of the kill, so that the stub stays dead."""
    served = start_serving(linear, STUBS)
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
    served.stop(signal.SIGTERM)
    assert gone(processes)
    assert not any(region.exists() for region in regions)


@pytest.mark.long
def test_a_killed_trimaran_leaves_nothing_that_stops_the_next_one(linear: Repository) -> None:
    """It starts at once on the same ports, and stops cleanly on Ctrl-C."""
    served = start_serving(linear, STUBS)
    processes = process_tree(served)
    served.stop(signal.SIGKILL)
    again = Served(linear, *port_options(served.ports), STUBS)
    again.ports = served.ports
    again.until_said(READY, 120)
    assert gone(processes)
    stops_cleanly(again, signal.SIGINT)


def test_stubs_that_outlived_their_server_are_ended(tmp_path: Path) -> None:
    """Triton's stubs do so where their server ends before they have unloaded their model."""
    repository = Repository.create(tmp_path / "model_repository")
    (repository.root / "1").mkdir()
    (repository.root / "1" / "model.py").write_text("import time\ntime.sleep(600)\n")
    region = Path(f"/dev/shm/triton_python_backend_shm_region_test_{os.getpid()}")  # noqa: S108
    region.touch()

    def stub(parent: int) -> subprocess.Popen[bytes]:
        sizes = ("1", "1")
        words = ("1/model.py", region.name, *sizes, str(parent), "backends/python", "1", "m_0_0")
        return subprocess.Popen(
            ["/bin/triton_python_backend_stub", *words, ""],
            executable=sys.executable,
            cwd=repository.root,
        )

    with subprocess.Popen(["true"]) as server:
        pass
    with stub(server.pid) as orphan, stub(os.getpid()) as kept:
        record_server(repository, server.pid)
        end_orphan(repository)
        assert orphan.wait(30) == -signal.SIGKILL
        assert kept.poll() is None
        kept.kill()
    assert not region.exists()


def test_ended_server_is_started_again(linear: Repository) -> None:
    served = start_serving(linear, STUBS)
    processes = process_tree(served)
    found = find_server(linear)
    assert found is not None
    regions = shared_memory(found.server_pid)
    printed = len(served.lines)
    os.kill(found.server_pid, signal.SIGKILL)
    wait_for(lambda: served.said(READY, printed), 60, "the restart")
    assert served.said("tritonserver ended by itself with status -9", printed)
    assert gone(processes)
    assert regions
    assert not any(region.exists() for region in regions)
    stops_cleanly(served, signal.SIGTERM)


def test_a_server_that_ends_is_restarted_later_each_time_and_not_for_ever() -> None:
    restarts = Restarts()
    assert [restarts.pause_s(now) for now in (0, 5, 10, 15, 20)] == [0.5, 1.0, 2.0, 4.0, None]
    assert Restarts([0, 5, 10, 15]).pause_s(70) == 1.0


def test_what_dead_stubs_leave_is_too_much_beyond_fifty_regions() -> None:
    stubs = {(pid, "1") for pid in range(100)}
    assert not Remains(1, stubs, {Path(str(i)) for i in range(149)}).is_too_much()
    assert Remains(1, stubs, {Path(str(i)) for i in range(150)}).is_too_much()


@pytest.fixture(scope="module")
def two_named(
    linear_repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server that was given two of a repository's three models."""
    root = tmp_path_factory.mktemp("named") / "model_repository"
    shutil.copytree(linear_repository.root, root)
    repository = Repository.open(root)
    for name in ("second_onnx", "third_onnx"):
        publish_linear(repository, 1.0, name)
    served = start_serving(repository, "--model", "linear_onnx", "--model", "third_onnx")
    yield served
    served.stop()


def test_only_named_models_are_served(two_named: Served) -> None:
    ready = {state.name for state in two_named.control.index() if state.state == "READY"}
    assert ready == {"linear_onnx", "third_onnx"}


def test_second_server_on_a_repository_is_refused(two_named: Served) -> None:
    result = serve_refused(two_named.repository.root)
    assert result.status == 1
    assert f"is already served by process {two_named.process.pid}" in result.error


@pytest.mark.parametrize("option", ["http", "grpc", "metrics", "supervisor"])
def test_port_in_use(linear_repository: Repository, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = serve_refused(linear_repository.root, f"--{option}-port", str(port))
    assert result.status == 1
    assert f"{option} port {port} on 127.0.0.1 cannot be used" in result.error
    assert f"--{option}-port" in result.error


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--repository", "/nowhere"], 1, "/nowhere: no such model repository"),
        (["--model", "nothing"], 1, "has no model 'nothing'; it has linear_onnx"),
        (["--host", "0.0.0.0"], 2, "listens on loopback only"),  # noqa: S104
        (["--host", "example"], 2, "is not an address"),
        (["--tritonserver", "/nowhere"], 2, "/nowhere is not an executable tritonserver"),
        (["--http-port", "0"], 1, "a port is between 1 and 65535"),
        (["--http-port", "4711", "--grpc-port", "4711"], 1, "is given twice"),
    ],
)
def test_mistakes_are_one_sentence(
    linear_repository: Repository, arguments: list[str], status: int, message: str
) -> None:
    result = serve_refused(linear_repository.root, *arguments)
    assert result.status == status, result.stderr
    assert message in result.error


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


@dataclass(frozen=True)
class Mixed:
    """A server of a repository in which little is as it should be."""

    served: Served
    reasons: dict[str, str]
    """The reported reason by model; alternatives are separated by a bar."""


@pytest.fixture(scope="module")
def mixed(
    linear_repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mixed]:
    root = tmp_path_factory.mktemp("mixed") / "model_repository"
    shutil.copytree(linear_repository.root, root)
    repository = Repository.open(root)
    reasons = {damage.__name__: damage(repository, damage.__name__) for damage in DAMAGES}

    # A newer version that some killed tool left behind.
    half = repository.model("linear_onnx") / "2"
    half.mkdir()
    whole = repository.model("linear_onnx") / "1" / "model.onnx"
    (half / "model.onnx").write_bytes(whole.read_bytes()[:50])

    # A model without a configuration, and a directory that is no model.
    publish_linear(repository, 1.0, "bare")
    repository.config_path("bare").unlink()
    (repository.root / "notes").mkdir()
    (repository.root / "notes" / "readme.txt").write_text("not a model")

    # Two versions, and a policy of the user's own for the older one.
    publish_linear(repository, 1.0, "policy_onnx")
    path = repository.config_path("policy_onnx")
    config = read_config(path)
    config.version_policy.specific.versions.append(1)
    write_config(path, config)
    assert publish_linear(repository, 2.0, "policy_onnx") == 2

    served = start_serving(repository)
    yield Mixed(served, reasons)
    served.stop()


def test_broken_models_are_reported_and_the_rest_served(mixed: Mixed) -> None:
    flat = "".join(mixed.served.lines).replace("│", "").replace(" ", "")
    assert len(mixed.reasons) == len(DAMAGES)
    for name, reason in mixed.reasons.items():
        assert name in flat
        wanted = [part.replace(" ", "") for part in reason.split("|")]
        assert any(part in flat for part in wanted), flat
    assert answers(mixed.served)


def test_half_written_version_is_passed_over(mixed: Mixed) -> None:
    """The complete one serves."""
    status = call_trimaran("status", "--repository", mixed.served.repository.root)
    assert "unusable: has no manifest.json" in status.stdout
    assert mixed.served.control.ready_versions("linear_onnx") == {1}
    assert mixed.served.said("version 2 of linear_onnx is skipped: has no manifest.json")


def test_model_without_a_configuration_is_left_to_triton(mixed: Mixed) -> None:
    """Triton completes it from the file; a directory that is no model is passed over."""
    assert answers(mixed.served, "bare")
    assert not mixed.served.said("notes")


def test_own_version_policy_is_respected(mixed: Mixed) -> None:
    assert mixed.served.control.ready_versions("policy_onnx") == {1}


@pytest.mark.long
def test_newer_version_is_served_after_a_restart(linear: Repository) -> None:
    served = start_serving(linear)
    assert served.control.ready_versions("linear_onnx") == {1}
    served.stop()
    assert publish_linear(linear, 2.0) == 2
    served = start_serving(linear)
    assert served.control.ready_versions("linear_onnx") == {2}
    served.stop()
