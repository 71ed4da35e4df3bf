"""A run of photographs: what it leaves, and that it is served as it was trained."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ensembles.pipeline import tensor
from ensembles.publish import publish
from tests.running import TRIMARAN, Served, kill_once, start_serving
from tests.trimaran.calling import call_trimaran
from tests.trimaran.versions import publish_files
from trimaran.publishing.releases import make_release, read_release
from trimaran.repository.config import ModelConfig, add_tensors
from trimaran.repository.repository import Repository
from trimaran.rollout.runs.families.known import figures_of
from trimaran.rollout.runs.families.photographs import FrozenPhotographs
from trimaran.served.decoding import ImageSettings, to_tensor
from trimaran.system.errors import TrimaranError
from trimaran.training.image.run import train
from trimaran.training.image.trained import ImageRun, image_run
from trimaran.training.image_data import write_tiles
from trimaran.training.tabular.data.reading import Source

COMPARED = ("weights.safetensors", "metrics.json", "predictions.csv", "report.html", "samples.npy")


def tiles(folder: Path, of_each: int, *labels: str) -> Path:
    """Some of the tiles of some photographs, as a folder of classes."""
    write_tiles(folder)
    for label in folder.iterdir():
        files = sorted(label.iterdir())
        kept = files[:: len(files) // of_each][:of_each] if label.name in labels else []
        for path in {*files} - {*kept}:
            path.unlink()
        if not kept:
            label.rmdir()
    return folder


def command(*options: str | Path) -> list[str]:
    return ["train", "pets", *map(str, options)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("photographs")
    tiles(made / "pets", 7, "cat", "coffee")
    return made


@pytest.fixture(scope="module")
def run(directory: Path) -> ImageRun:
    outcome = call_trimaran(*command("--epochs", "0"), cwd=directory)
    assert outcome.status == 0, outcome.stderr
    assert "frozen backbone: accuracy " in outcome.stdout
    (found,) = (path for path in (directory / "runs" / "pets").iterdir() if path.is_dir())
    made = image_run(found)
    assert made is not None
    return made


def predictions(run: ImageRun) -> dict[str, list[float]]:
    """The probabilities of the photographs that were held out, by file."""
    rows = csv.DictReader(run.text("predictions.csv").splitlines())
    return {row["file"]: [float(row[label]) for label in run.labels()] for row in rows}


def answers(run: ImageRun, folder: Path, settings: ImageSettings) -> dict[str, np.ndarray]:
    """What its network makes of the same photographs, prepared by other code's settings."""
    network = run.network()
    with torch.inference_mode():
        return {
            name: network(torch.from_numpy(to_tensor((folder / name).read_bytes(), settings)[None]))
            .softmax(dim=1)[0]
            .numpy()
            for name in predictions(run)
        }


def with_network(run: ImageRun, name: str, repository: Repository) -> None:
    """Publish something that has the name and the tensors of the run's network."""
    config = ModelConfig(name=name, backend="onnxruntime", max_batch_size=32)
    side = run.settings().size
    image = tensor("image", "FP32", 3, side, side)
    add_tensors(config, [image], [tensor("logits", "FP32", len(run.labels()))])
    publish_files(repository, config, {"model.onnx": b""})


def test_what_is_published_prepares_photographs_as_training_did(
    run: ImageRun, directory: Path, empty_repository: Repository
) -> None:
    with_network(run, "pets_onnx", empty_repository)
    publish(str(run.directory), empty_repository)
    make_release(empty_repository, "pets")
    assert read_release(empty_repository, "pets", 1).pins == {
        "pets_onnx": 1, "pets_preprocess": 1, "pets_labels": 1,
    }  # fmt: skip
    served = empty_repository.version("pets_preprocess", 1).path / "preprocess.json"
    settings = ImageSettings(**json.loads(served.read_text()))
    found = answers(run, directory / "pets", settings)
    for name, probability in predictions(run).items():
        np.testing.assert_allclose(found[name], probability, rtol=1e-4, atol=1e-6)
    labels = empty_repository.version("pets_labels", 1).path / "labels.txt"
    assert labels.read_text() == "cat\ncoffee\n"


def test_a_run_says_how_good_it_is_and_compares(run: ImageRun) -> None:
    metrics = run.metrics()
    assert metrics["rows"] == {"train": 10, "validation": 2, "test": 2}
    assert metrics["most_common"] == {"label": "cat", "accuracy": 0.5, "macro_f1": 1 / 3}
    low, high = metrics["test"]["accuracy_interval"]
    assert 0 < low < metrics["test"]["accuracy"] <= high <= 1
    html = run.text("report.html")
    assert "Worst mistakes" in html
    assert "2 photographs are few" in html


def test_the_same_command_finds_the_run_which_keeps_what_is_needed(
    run: ImageRun, directory: Path
) -> None:
    before = (run.directory / "metrics.json").stat().st_mtime_ns
    again = train(directory / "pets", name="pets", epochs=0, out=directory / "runs")
    assert again.directory == run.directory
    assert (run.directory / "metrics.json").stat().st_mtime_ns == before
    assert {path.name for path in run.directory.iterdir()} == {
        *(".lock", "config.json", "preprocess.json", "labels.txt", "reference_images.json"),
        *("reference_answers.json", "weights.safetensors", "samples.npy", "predictions.csv"),
        *("report.html", "metrics.json"),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--name", "image"), "'image' is that of models of the included image ensemble"),
        (("--epochs", "-1"), "epochs is -1; it must be 0 or more"),
        (("--seed", "-1"), "--seed is -1"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: tuple[str, str], message: str, directory: Path
) -> None:
    outcome = call_trimaran(*command(*options), cwd=directory)
    assert outcome.status == 2
    assert message in outcome.error


@pytest.mark.long
def test_a_killed_training_ends_in_the_same_bytes(directory: Path) -> None:
    options = ("--epochs", "2", "--seed", "1")
    assert call_trimaran(*command("--out", "whole", *options), cwd=directory).status == 0
    (whole,) = (path for path in (directory / "whole" / "pets").iterdir() if path.is_dir())
    killed = directory / "killed" / "pets" / whole.name
    training = [*TRIMARAN, *command("--out", "killed", *options)]
    kill_once(training, directory, (killed / "checkpoint.pt").is_file)
    assert not (killed / "metrics.json").exists()
    assert call_trimaran(*command("--out", "killed", *options), cwd=directory).status == 0
    for name in COMPARED:
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name


@pytest.fixture
def served(directory: Path, tmp_path: Path) -> Iterator[tuple[Served, list[ImageRun]]]:
    """A server of two runs' ensembles in one repository, the second of other classes."""
    tiles(directory / "others", 7, "astronaut", "motorcycle", "rocket")
    root = tmp_path / "model_repository"
    runs = [
        train(directory / "pets", name="pets", epochs=1, out=directory / "runs"),
        train(directory / "others", name="others", epochs=1, out=directory / "runs"),
    ]
    for each in runs:
        latest = str(each.directory.parent / "latest")
        for words in (
            ("export", latest, "--format", "onnx"),
            ("publish", latest),
            ("release", each.name),
            ("deploy", each.name),
        ):
            outcome = call_trimaran(*words, "--repository", root)
            assert outcome.status == 0, outcome.stderr
    running = start_serving(Repository.open(root))
    yield running, runs
    running.stop()


@pytest.mark.long
def test_ensembles_of_two_folders_answer_as_they_were_trained(
    served: tuple[Served, list[ImageRun]], directory: Path, tmp_path: Path
) -> None:
    running, runs = served
    with running.client() as client:
        for run in runs:
            for name, expected in predictions(run).items():
                file = (directory / run.name / name).read_bytes()
                answer = client.infer(run.name, {"IMAGE": np.array([[file]], object)}).outputs
                found = dict(zip(answer["LABEL"][0], answer["PROBABILITY"][0], strict=True))
                wanted = [found[label.encode()] for label in run.labels()]
                np.testing.assert_allclose(wanted, expected, atol=1e-3)
            with pytest.raises(TrimaranError, match="damaged"):
                client.infer(run.name, {"IMAGE": np.array([[file[:500]]], object)})
    photo = tmp_path / "photo.webp"
    Image.new("RGB", (90, 60), "brown").save(photo)
    outcome = call_trimaran("predict", "pets", photo, "--repository", running.repository.root)
    assert outcome.status == 0, outcome.stderr
    assert "coffee" in outcome.stdout


def test_a_frozen_run_predicts_new_photographs(
    run: ImageRun, directory: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    shutil.copytree(directory / "pets" / "cat", new / "cat")
    for file in (directory / "pets" / "coffee").iterdir():
        shutil.copy(file, new / file.name)  # what it shows is not known
    (new / "broken.jpg").write_bytes(b"no photograph")
    read = FrozenPhotographs(run).read(Source(str(new)), lambda *_: None)
    read.predict(tmp_path / "run-2", lambda *_: None)

    before = predictions(run)
    found = list(csv.DictReader((tmp_path / "run-2/predictions.csv").read_text().splitlines()))
    names = {
        row["file"]: "coffee/" + row["file"] if "/" not in row["file"] else row["file"]
        for row in found
    }
    assert [(row["part"], row["class"]) for row in found] == 7 * [("new", "")] + 7 * [
        ("test", "cat")
    ]
    for row in found:
        if names[row["file"]] in before:
            given = [float(row[label]) for label in run.labels()]
            assert given == pytest.approx(before[names[row["file"]]], abs=1e-6)
    figures = figures_of(tmp_path / "run-2")
    assert (figures.metric, figures.rows) == ("accuracy", {"test": 7, "new": 7})
    assert "macro F1" not in figures.scores  # no photograph of coffee has a class
    assert figures.notes[0].startswith("1 of 15 files left out as unusable: broken.jpg")
    assert figures.notes[1].startswith("10 of the 10 photographs of the training part")

    (new / "dog").mkdir()
    with pytest.raises(
        TrimaranError, match="sub-folder 'dog', and the model knows the classes cat"
    ):
        FrozenPhotographs(run).read(Source(str(new)), lambda *_: None)
