"""The demonstration on a repository where the exports stand already."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.running import Served, run_trimaran
from tests.trimaran.calling import call_trimaran
from trimaran.repository.live import live_release
from trimaran.repository.presence import find_server
from trimaran.repository.repository import Repository
from trimaran.serving.runtime import ONNX_BACKEND
from trimaran.system.processes import start_time


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one, AOTInductor is left out, which takes a minute to compile this network."""
    monkeypatch.setenv("CXX", "/nowhere/c++")
    monkeypatch.delenv(ONNX_BACKEND, raising=False)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.png"
    Image.new("RGB", (300, 200), "red").save(path)
    return path


def test_demo_classifies_over_both_protocols_makes_no_version_and_leaves_no_process(
    own_repository: Repository, plain: Path
) -> None:
    before = {name: len(own_repository.versions(name)) for name in own_repository.names()}
    result = run_trimaran("demo", plain, "--repository", own_repository.root)
    assert result.returncode == 0, result.stderr
    assert "already exported" in result.stdout
    assert "without AOTInductor, which needs a C++ compiler: '/nowhere/c++' cannot" in result.stdout
    assert "ONNX models are served by Python processes: '/nowhere/c++' cannot" in result.stdout
    assert before == {name: len(own_repository.versions(name)) for name in own_repository.names()}
    cat = result.stdout.split("chelsea.png")[1].split("coffee.png")[0]
    assert "http" in cat
    assert "grpc" in cat
    assert "Egyptian cat" in cat
    assert len([line for line in cat.splitlines() if line.startswith("│")]) == 5
    assert "espresso" in result.stdout
    assert plain.name in result.stdout
    assert "release 1 is live, golden requests answered: 1" in result.stdout
    for step in ("image_preprocess", "efficientnet_lite0_onnx", "image_labels"):
        assert step in result.stdout.split("Where the time goes")[1]
    pid = int(result.stdout.split("(process ")[1].split(",")[0])
    assert not start_time(pid)
    assert find_server(own_repository) is None
    live = live_release(own_repository.live("image_classifier"))
    assert live is not None
    assert live.number == 1


def test_uses_a_server_that_runs(served: Served) -> None:
    result = call_trimaran("demo", "--repository", served.repository.root)
    assert result.status == 0, result.stderr
    assert f"using the server that runs on HTTP port {served.ports.http}" in result.stdout
    assert served.process.poll() is None


def test_missing_file_is_reported_at_once(empty_repository: Repository) -> None:
    result = call_trimaran("demo", "/nowhere.jpg", "--repository", empty_repository.root)
    assert result.status == 2
    assert "there is no file /nowhere.jpg" in result.error
