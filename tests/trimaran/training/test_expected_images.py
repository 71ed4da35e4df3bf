from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.photographs import parts_of_photographs
from trimaran.served.distribution import Reference
from trimaran.system.errors import TrimaranError
from trimaran.training.image_reference import (
    LEAST_IMAGES,
    VARIABLE,
    describe_images,
    expected_images,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parts of photographs, half of them in a folder within, and files that are no images."""
    (tmp_path / "more").mkdir()
    for number, data in enumerate(parts_of_photographs(LEAST_IMAGES, 0)):
        (tmp_path / ("more" if number % 2 else "") / f"{number}.jpg").write_bytes(data)
    (tmp_path / "broken.JPG").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("no image either")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_a_folder_of_images_becomes_the_reference(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ensembles.efficientnet_lite0 import onnx_ensemble

    monkeypatch.setattr("trimaran.training.image_reference.LEAST_IMAGES", 20)
    for number in range(20, LEAST_IMAGES):
        next(folder.rglob(f"{number}.jpg")).unlink()
    preprocess, labels = onnx_ensemble().python_models()
    assert "1 of 21 images cannot be read" in capsys.readouterr().err
    for model in (preprocess, labels):
        features = Reference.from_json(model.files["reference.json"].decode()).features
        assert {feature.rows for feature in features} == {20}
    (label, _) = features
    assert "tiger cat" in label.values


def test_the_same_images_make_the_same_reference(folder: Path) -> None:
    from trimaran.training.efficientnet_lite0 import SETTINGS

    files = expected_images()
    assert files is not None
    weights = np.random.default_rng(0).normal(size=(3, 4))

    def classify(pixels: np.ndarray) -> np.ndarray:
        return pixels.mean(axis=(2, 3)) @ weights

    first, again = (describe_images(files, SETTINGS, classify, list("abcd")) for _ in range(2))
    assert first.images.to_json() == again.images.to_json()
    assert first.answers.to_json() == again.answers.to_json()


def test_what_is_no_reference_is_refused_in_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trimaran.training.efficientnet_lite0 import SETTINGS

    next(folder.glob("*.jpg")).write_bytes(b"damaged")
    files = expected_images()
    assert files is not None
    with pytest.raises(TrimaranError, match=r"2 of 101 files cannot be read, .* leaves 99 images"):
        describe_images(files, SETTINGS, lambda pixels: np.zeros((len(pixels), 2)), ["a", "b"])
    monkeypatch.setenv(VARIABLE, str(folder / "nowhere"))
    with pytest.raises(
        TrimaranError, match=r"TRIMARAN_IMAGES names .*nowhere, which is not a folder"
    ):
        expected_images()
    monkeypatch.setenv(VARIABLE, str(folder / "more"))
    with pytest.raises(TrimaranError, match="holds 50 images; a reference takes 100 or more"):
        expected_images()
    monkeypatch.delenv(VARIABLE)
    assert expected_images() is None


def test_of_many_images_a_part_is_taken_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4100):
        (tmp_path / f"{number:04}.png").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    files = expected_images()
    assert files is not None
    assert [path.name for path in files[:3]] == ["0000.png", "0002.png", "0004.png"]
    assert files[-1].name == "4097.png"
    assert len(set(files)) == 2000
