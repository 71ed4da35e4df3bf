"""Which server is found, and how the embedded one is installed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from ensembles import PythonModel
from ensembles.pipeline import tensor
from ensembles.publish import publish_python_model
from tests.running import PROJECT, wait_for
from trimaran.repository.repository import Repository
from trimaran.serving.runtime import VARIABLE, OnnxBackend, Runtime, find_runtime, install
from trimaran.serving.server import private_server
from trimaran.serving.stubs import _require_own_numpy
from trimaran.system.downloads import cache_directory
from trimaran.system.errors import TrimaranError, UsageError


@pytest.fixture
def tritonserver(tmp_path: Path) -> Path:
    """An executable as an administrator would install one, which needs no help of ours."""
    embedded = install()
    path = tmp_path / "bin" / "tritonserver"
    path.parent.mkdir()
    settings = [f"{name}={value}" for name, value in embedded.environment.items()]
    command = shlex.join(["env", *settings, str(embedded.executable), *embedded.arguments])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)
    return path


def test_order_of_places(tritonserver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert find_runtime().embedded
    monkeypatch.setenv("PATH", str(tritonserver.parent), prepend=os.pathsep)
    assert find_runtime() == Runtime(tritonserver)
    other = tritonserver.with_name("other")
    other.symlink_to("/bin/true")
    monkeypatch.setenv(VARIABLE, str(other))
    assert find_runtime() == Runtime(other.resolve())
    assert find_runtime(tritonserver) == Runtime(tritonserver)


@pytest.mark.parametrize("name", ["/nowhere", "/tmp", "/etc/passwd"])  # noqa: S108
def test_named_server_that_cannot_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=f"{name} is not an executable tritonserver"):
        find_runtime(Path(name))
    monkeypatch.setenv(VARIABLE, name)
    with pytest.raises(UsageError, match=f"{name} is not an executable tritonserver"):
        find_runtime()


def test_a_backend_of_ours_is_not_for_another_server(tritonserver: Path) -> None:
    assert find_runtime(tritonserver, OnnxBackend.auto) == Runtime(tritonserver)
    with pytest.raises(UsageError, match=f"{tritonserver} serves ONNX models with its own backend"):
        find_runtime(tritonserver, OnnxBackend.python)


def test_named_server_runs(tritonserver: Path, empty_repository: Repository) -> None:
    with private_server(find_runtime(tritonserver), empty_repository) as server:
        assert server.control.index() == []


def test_server_that_ends_at_once_is_reported(tmp_path: Path, empty_repository: Repository) -> None:
    path = tmp_path / "tritonserver"
    path.write_text("#!/bin/sh\necho error: no licence\nexit 3\n")
    path.chmod(0o755)
    with (
        pytest.raises(TrimaranError, match="ended with status 3: error: no licence"),
        private_server(find_runtime(path), empty_repository),
    ):
        pass


def test_stub_environment_with_another_numpy_is_refused(tmp_path: Path) -> None:
    """With NumPy 2 in the stub's process every tensor is wrong, and nothing says so."""
    environment = tmp_path / "stubs"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(environment)
    (site,) = environment.glob("lib/python3*/site-packages")
    (site / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
    with pytest.raises(TrimaranError, match=r"stubs need numpy 1\.26\.4 but .* gives '2\."):
        _require_own_numpy(environment)


@pytest.mark.long
def test_killed_installation_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_repository: Repository
) -> None:
    """Killed while it unpacks; what was downloaded is kept, and nothing half-made is used.

    The cache's path has a space, at which Triton's shell would cut the stub's path in two.
    """
    install()
    cache = tmp_path / "my cache"
    (cache / "wheels").mkdir(parents=True)
    for wheel in (cache_directory() / "wheels").glob("*.whl"):
        (cache / "wheels" / wheel.name).symlink_to(wheel)
    monkeypatch.setenv("TRIMARAN_CACHE", str(cache))
    child = subprocess.Popen(
        [sys.executable, "-c", "from trimaran.serving.runtime import install; install()"],
        cwd=PROJECT,
    )
    unpacking = cache / "unpacked" / "unpacking"
    wait_for(lambda: next(unpacking.glob("*/content/content/pytriton"), None), 30, "unpacking")
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not list((cache / "unpacked").glob("nvidia_pytriton-*"))
    runtime = install()
    assert not list(unpacking.glob("*/content"))
    source = tmp_path / "model.py"
    source.write_text("class TritonPythonModel:\n    def execute(self, requests): ...\n")
    x, y = (tensor(name, "FP32", 1) for name in "XY")
    publish_python_model(empty_repository, PythonModel("m", [x], [y], sources=[source]), "test")
    with private_server(runtime, empty_repository) as server:
        server.control.load("m")
        assert server.control.ready_versions("m") == {1}
    (directory,) = (word for word in runtime.arguments if "--backend-directory=" in word)
    Path(directory.partition("=")[2]).unlink()  # the path's other name
