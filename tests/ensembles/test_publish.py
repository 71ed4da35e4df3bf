"""A version of a Python model runs the code that lies in it, whatever is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ensembles.image_classifier import image_classifier
from ensembles.pipeline import PythonModel, tensor
from ensembles.publish import publish_python_model
from ensembles.served_files import served_files
from tests.running import PROJECT, Served, start_serving
from tests.trimaran.calling import call_trimaran
from trimaran.repository.config import write_config
from trimaran.repository.repository import Repository
from trimaran.serving.runtime import install
from trimaran.system.errors import TrimaranError
from trimaran.training.efficientnet_lite0 import SETTINGS

LABELS = "image_labels"
LOGITS = {"LOGITS": np.array([[0.0, 1.0, 2.0]], np.float32)}
RANKING = Path("trimaran/served/ranking.py")
COUNTERS = Path("trimaran/served/counters.py")
ENTRIES = sorted(path.stem for path in (PROJECT / "trimaran" / "served").glob("*_model.py"))
OWN = """
import numpy as np
import triton_python_backend_utils as pb_utils
from words import greeting


class TritonPythonModel:
    def execute(self, requests):
        word = np.array([[greeting()]], object)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", word)]) for _ in requests]
"""


def labels_model() -> PythonModel:
    (_, model) = image_classifier("any", ["ant", "bee", "cat"], SETTINGS, top=1).python_models()
    return model


def own_model(directory: Path) -> PythonModel:
    """A model of a user's own: two files, side by side."""
    sources = [directory / "model.py", directory / "words.py"]
    for path, source in zip(sources, (OWN, "def greeting(): return 'hello'\n"), strict=True):
        path.write_text(source)
    return PythonModel("own", [tensor("X", "FP32", 1)], [tensor("Y", "BYTES", 1)], sources)


def rank_backwards(version: Path) -> None:
    """Change the version's copy, in as many bytes, so that the least probable class comes first."""
    source = (version / RANKING).read_text()
    changed = source.replace("np.argsort(-logits,", "np.argsort(+logits,")
    assert changed != source
    (version / RANKING).write_text(changed)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """All versions of `image_labels`, two instances of each; the code of the first was changed."""
    directory = tmp_path_factory.mktemp("publish")
    repository = Repository.create(directory / "model_repository")
    assert publish_python_model(repository, labels_model(), "test").version == 1
    assert publish_python_model(repository, labels_model(), "test").unchanged
    rank_backwards(repository.version(LABELS, 1).path)
    assert publish_python_model(repository, labels_model(), "test").version == 2
    publish_python_model(repository, own_model(directory), "test")
    config = repository.config(LABELS)
    config.version_policy.all.SetInParent()
    config.instance_group[0].count = 2
    write_config(repository.config_path(LABELS), config)
    served = start_serving(repository)
    yield served
    served.stop()


def test_the_copy_in_the_version_wins_over_the_installed_package(running: Served) -> None:
    stubs = install().environment
    found = subprocess.run(
        ["python", "-c", "import trimaran.served.ranking as module; print(module.__file__)"],
        env={**stubs},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()) == PROJECT / RANKING, "stubs do not find the project"
    assert running.control.ready_versions(LABELS) == {1, 2}
    with running.client() as client:
        for version, label in (("1", b"ant"), ("2", b"cat")) * 4:
            answer = client.infer(LABELS, LOGITS, version=version)
            assert answer.outputs["LABEL"].tolist() == [[label]]
    versions = running.repository.model(LABELS)
    assert not list(versions.rglob("__pycache__"))


def test_a_model_of_side_by_side_sources_is_served(running: Served) -> None:
    with running.client() as client:
        answer = client.infer("own", {"X": np.zeros((1, 1), np.float32)})
    assert answer.outputs["Y"].tolist() == [[b"hello"]]
    version = running.repository.version("own", 1).path
    assert {path.name for path in version.iterdir()} == {"model.py", "words.py", "manifest.json"}


def test_the_checker_finds_nothing_wrong_with_the_folder(empty_repository: Repository) -> None:
    publish_python_model(empty_repository, labels_model(), "test")
    version = empty_repository.version(LABELS, 1)
    assert version.manifest is not None
    assert RANKING.as_posix() in version.manifest.files
    result = call_trimaran("check", "--repository", empty_repository.root)
    assert result.status == 0, result.stdout
    (version.path / RANKING).unlink()
    result = call_trimaran("check", "--repository", empty_repository.root)
    assert "trimaran/served/ranking.py is missing" in result.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed here, without this project."""
    directory = tmp_path_factory.mktemp("packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "trimaran" not in path.name and path.suffix != ".pth":
            (directory / path.name).symlink_to(path)
    return directory


LOAD = """
import importlib.util, sys
sys.dont_write_bytecode = True
installed, versions, others = sys.argv[1], sys.argv[2].split(":"), sys.argv[3:]
sys.path += others
assert (importlib.util.find_spec("trimaran") is not None) == bool(installed)
for version in versions:
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location("1.model", f"{version}/model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    print(sys.modules[module.TritonPythonModel.__module__].__file__)
    # What the next version loads is as in a process of its own.
    sys.path[:] = path
    for name in [name for name in sys.modules if name.partition(".")[0] == "trimaran"]:
        del sys.modules[name]
"""


@pytest.mark.parametrize(("names", "installed"), [(ENTRIES, False), (ENTRIES[:1], True)])
def test_a_version_loads_its_copy_whether_or_not_trimaran_is_installed(
    packages: Path, tmp_path: Path, names: Sequence[str], installed: bool
) -> None:
    """By its starter alone, as in NVIDIA's container, where no stub of ours orders the path."""
    for name in names:
        for path, content in served_files(f"trimaran.served.{name}").items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(content)
    (option,) = (a for a in install().arguments if a.startswith("--backend-directory="))
    backend = Path(option.partition("=")[2]) / "python"
    versions = ":".join(str(tmp_path / name) for name in names)
    result = subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-c", LOAD, "installed" if installed else "", versions),
            *([PROJECT] if installed else []),
            *(packages, backend),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        str(tmp_path / name / "trimaran" / "served" / f"{name}.py") for name in names
    ]


PUBLISH = """
import sys
from pathlib import Path
from ensembles.publish import publish_python_model
from tests.ensembles.test_publish import labels_model
from trimaran.repository.repository import Repository
publish_python_model(Repository.create(Path(sys.argv[1])), labels_model(), "test")
"""


@pytest.mark.long
def test_a_missing_file_fails_at_publishing(tmp_path: Path) -> None:
    for name in ("trimaran", "ensembles", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=ignored)
    repository = tmp_path / "model_repository"
    for removed, error in (
        (None, ""),
        (COUNTERS, "needs trimaran.served.counters, and there is no file"),
    ):
        if removed:
            (tmp_path / removed).unlink()
            shutil.rmtree(repository)
        result = subprocess.run(
            [sys.executable, "-c", PUBLISH, repository],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode != 0) == bool(removed), result.stderr
        assert error in result.stderr
        assert (repository / LABELS).exists() != bool(removed)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"entry": ""}, "sources hold no model.py, the file that Triton starts"),
        (
            {"sources": [Path("words.py")]},
            "already gives its files, and sources add words.py",
        ),
        ({"entry": "trimaran.served.gone"}, "publishing needs trimaran.served.gone, and there is"),
    ],
)
def test_code_that_triton_could_not_start_is_refused(
    empty_repository: Repository, changes: Mapping[str, object], words: str
) -> None:
    model = replace(labels_model(), **changes)  # type: ignore[arg-type]
    with pytest.raises(TrimaranError, match=re.escape(words)):
        publish_python_model(empty_repository, model, "test")
    assert empty_repository.names() == []
