"""Drift of images on a real server under a real Prometheus: darker, smaller, of other classes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from ensembles.image_classifier import image_classifier
from ensembles.publish import publish_pipeline
from monitoring.drift import Finding
from tests.monitoring.conftest import Watched, served_and_watched
from tests.photographs import parts_of_photographs
from tests.running import wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.publishing.releases import make_release
from trimaran.repository.repository import Repository
from trimaran.served.decoding import MEASURES, measure, read
from trimaran.system.errors import TrimaranError
from trimaran.training.efficientnet_lite0 import SETTINGS
from trimaran.training.image_data import class_names
from trimaran.training.image_reference import fixed_bins, reference_of

IMAGES = 208
"""A verdict needs 200."""
BATCH = 16


@pytest.fixture(scope="module")
def watched(exported: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A server whose preprocessing has a reference, and whose labelling has none."""
    root = tmp_path_factory.mktemp("image_drift") / "model_repository"
    shutil.copytree(exported.root, root)
    repository = Repository.open(root)
    labels = class_names()
    measures = [measure(read(data, SETTINGS)) for data in parts_of_photographs(240, 1)]
    best = np.zeros(len(measures), np.int64)
    expected = reference_of(np.array(measures), best, np.ones(len(measures)), labels)
    pipeline = image_classifier(
        "efficientnet_lite0_onnx",
        labels,
        SETTINGS,
        reference=replace(expected, answers=fixed_bins(labels).answers),
    )
    published = publish_pipeline(repository, pipeline, "test")
    assert [each.unchanged for each in published] == [False, True]
    make_release(repository, "image_classifier")
    with served_and_watched(repository, "--model", "image_classifier") as watched:
        yield watched


def ask(watched: Watched, images: Sequence[bytes], classes: np.ndarray) -> None:
    """A batch through the ensemble, and the rest through the first and the last step alone."""
    logits = np.zeros((len(classes), 1000), np.float32)
    logits[np.arange(len(classes)), classes] = 9
    files = np.array([[data] for data in images], object)
    with watched.served.client() as client:
        client.infer("image_classifier", {"IMAGE": files[:BATCH]})
        for start in range(BATCH, len(files), BATCH):
            rows = slice(start, start + BATCH)
            client.infer("image_preprocess", {"IMAGE": files[rows]})
            client.infer("image_labels", {"LOGITS": logits[rows]})


def asked(watched: Watched) -> int:
    """How many images were preprocessed, as Triton counts them."""
    (statistics,) = watched.served.control.statistics("image_preprocess")
    return int(statistics["inference_count"])


def counted(watched: Watched, images: int) -> None:
    """Wait until every feature of both models has so many rows."""
    series = 'sum by (model, feature) (trimaran_feature_rows_total{model=~"image_.*"})'

    def whole() -> bool:
        rows = [sample.value for sample in watched.prometheus.instant(series)]
        return rows == [images] * (len(MEASURES) + 2)

    wait_for(whole, 20, f"{images} counted images")


def drift(watched: Watched, status: int, window_s: int, *options: str) -> dict[str, Finding]:
    outcome = call_trimaran(
        "monitor", "drift", f"--window={window_s}s", "--json", *options, "--repository",
        watched.root,
    )  # fmt: skip
    assert outcome.status == status, outcome.stdout + outcome.error
    return {each["feature"]: Finding(**each) for each in json.loads(outcome.stdout)}


@pytest.mark.long
def test_images_that_are_darker_smaller_or_of_other_classes_drift(watched: Watched) -> None:
    generator = np.random.default_rng(0)
    golden = asked(watched)  # the release was tried before it went live
    began_s = watched.prometheus.now_s()
    ask(watched, parts_of_photographs(IMAGES, 2), generator.integers(0, 200, IMAGES))
    counted(watched, golden + IMAGES)
    came_s = watched.prometheus.now_s()
    found = drift(watched, 0, 60)
    assert {each.feature: each.verdict for each in found.values()} == {
        **dict.fromkeys(MEASURES, "stable"),
        "label": "no reference",
        "probability": "no reference",
    }
    assert found["brightness"].against == "the reference"

    # A window must hold the others alone, and as long a window before it the expected ones.
    others_s = 2 * came_s - began_s + 4
    wait_for(lambda: watched.prometheus.now_s() > others_s, 60, "the time between")
    others = parts_of_photographs(IMAGES, 3, light=0.4, size=(96, 72))
    ask(watched, others, generator.integers(500, 700, IMAGES))
    with watched.served.client() as client, pytest.raises(TrimaranError, match="is empty"):
        client.infer("image_preprocess", {"IMAGE": np.array([[b""]], object)})
    counted(watched, golden + 2 * IMAGES)
    refused = 'trimaran_refused_requests_total{model="image_preprocess"}'
    watched.eventually(refused, lambda requests: requests == 1, 10)
    window_s = round(watched.prometheus.now_s() - came_s) - 2

    found = drift(watched, 1, window_s)
    assert found["brightness"].verdict == "drift"
    assert found["shorter_side"].verdict == "drift"
    assert found["shorter_side"].moved in ("below 100", "100 to 200")
    assert found["aspect"].verdict == "stable"
    assert found["brightness"].against == "the reference"
    assert found["label"].verdict == "drift"
    assert found["label"].against == "the day before"

    past = drift(watched, 1, window_s, f"--against={window_s}s")
    assert {each.against for each in past.values()} == {
        f"the {window_s}s that ended {window_s}s ago"
    }
    for feature in ("brightness", "shorter_side", "label"):
        assert past[feature].verdict == "drift", feature
    assert past["aspect"].verdict == "stable"

    shown = call_trimaran("monitor", "drift", f"--window={window_s}s", "--repository", watched.root)
    assert f"image_preprocess version 2, last {window_s}s, against the reference" in shown.stdout
    assert f"image_labels version 1, last {window_s}s, against the day before" in shown.stdout
    alerts = 'ALERTS{alertname="FeatureDrift", feature="shorter_side", alertstate="firing"}'
    watched.eventually(f"count({alerts})", lambda alerts: alerts == 1, 20)


@pytest.mark.long
def test_a_past_within_the_window_is_refused(watched: Watched) -> None:
    outcome = call_trimaran(
        "monitor", "drift", "--window=1h", "--against=30m", "--repository", watched.root
    )
    assert outcome.status == 2
    assert "--against is 30m, within the window of 1h" in outcome.error
    outcome = call_trimaran("monitor", "drift", "--against=yesterday", "--repository", watched.root)
    assert outcome.status == 2
    assert "--against is 'yesterday'; expected a duration" in outcome.error
