"""The image ensemble in the real Triton, against the same work in one process."""

from __future__ import annotations

import base64
import fcntl
import io
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import urllib3
from PIL import Image

from ensembles.image_classifier import image_classifier
from ensembles.pipeline import tensor
from ensembles.publish import publish
from tests.running import Served, start_serving, wait_for
from tests.trimaran.calling import call_trimaran
from tests.trimaran.versions import publish_files
from trimaran.publishing.releases import make_release, read_release
from trimaran.repository.config import ModelConfig, add_tensors, read_config, write_config
from trimaran.repository.repository import Repository
from trimaran.served.decoding import to_tensor
from trimaran.served.ranking import rank
from trimaran.serving.client import Protocol
from trimaran.system.errors import TrimaranError
from trimaran.training.efficientnet_lite0 import SETTINGS, network
from trimaran.training.image_data import class_names, photographs

PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")
PHOTOGRAPHS = photographs()


@pytest.fixture(scope="module")
def in_process() -> dict[str, tuple[list[bytes], np.ndarray]]:
    """Labels and probabilities of every photograph, by PyTorch in this process."""
    module, names = network(), class_names()
    found = {}
    for name, data in PHOTOGRAPHS.items():
        with torch.no_grad():
            logits = module(torch.from_numpy(to_tensor(data, SETTINGS)[None])).numpy()
        order, probabilities = rank(logits, 5)
        found[name] = [names[index].encode() for index in order[0]], probabilities[0]
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_equals_pytorch(
    served: Served,
    in_process: dict[str, tuple[list[bytes], np.ndarray]],
    name: str,
    protocol: Protocol,
) -> None:
    with served.client(protocol) as client:
        answer = client.infer("image_classifier", {"IMAGE": images(PHOTOGRAPHS[name])})
    labels, probabilities = in_process[name]
    assert answer.outputs["LABEL"].tolist() == [labels]
    np.testing.assert_allclose(answer.outputs["PROBABILITY"], probabilities[None], atol=1e-4)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_classifier_equals_pytorch(served: Served, protocol: Protocol) -> None:
    pixels = np.stack([to_tensor(data, SETTINGS) for data in PHOTOGRAPHS.values()])
    with torch.no_grad():
        expected = network()(torch.from_numpy(pixels)).numpy()
    with served.client(protocol) as client:
        logits = client.infer("efficientnet_lite0_onnx", {"image": pixels}).outputs["logits"]
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_images_in_one_request(served: Served, protocol: Protocol) -> None:
    with served.client(protocol) as client:
        together = client.infer("image_classifier", {"IMAGE": images(*PHOTOGRAPHS.values())})
        for row, data in enumerate(PHOTOGRAPHS.values()):
            alone = client.infer("image_classifier", {"IMAGE": images(data)})
            assert together.outputs["LABEL"][row].tolist() == alone.outputs["LABEL"][0].tolist()


def test_curl_with_json_and_tritonclient_agree(served: Served, tmp_path: Path) -> None:
    photograph = PHOTOGRAPHS["chelsea.png"]
    encoded = base64.b64encode(photograph).decode()
    flat = curl(served, tmp_path, "generate", {"IMAGE": encoded})
    tensor = {"name": "IMAGE", "datatype": "BYTES", "shape": [1, 1], "data": [encoded]}
    full = curl(served, tmp_path, "infer", {"inputs": [tensor]})
    outputs = {output["name"]: output["data"] for output in full["outputs"]}
    with served.client() as client:
        answer = client.infer("image_classifier", {"IMAGE": images(photograph)})
    labels = [label.decode() for label in answer.outputs["LABEL"][0]]
    assert flat["LABEL"] == outputs["LABEL"] == labels
    assert any("cat" in label for label in labels)
    np.testing.assert_allclose(flat["PROBABILITY"], answer.outputs["PROBABILITY"][0], atol=1e-6)
    np.testing.assert_allclose(outputs["PROBABILITY"], answer.outputs["PROBABILITY"][0], atol=1e-6)


def test_bad_image_among_several_is_named_by_position(served: Served) -> None:
    batch = images(PHOTOGRAPHS["coffee.png"], b"", PHOTOGRAPHS["rocket.jpg"])
    with (
        served.client() as client,
        pytest.raises(TrimaranError, match="image 1 of 3 is empty"),
    ):
        client.infer("image_classifier", {"IMAGE": batch})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_heavy_images_are_decoded_by_one_instance_at_a_time(
    served: Served, protocol: Protocol
) -> None:
    """The test has the instances' place for heavy images; light ones are answered all the same."""
    heavy = {"IMAGE": images(blank(4600, 4600))}
    (version,) = served.repository.model("image_preprocess").glob("[0-9]*")
    with served.client(protocol) as client:
        with (version / "preprocess.json").open() as place:
            fcntl.flock(place, fcntl.LOCK_EX)
            with pytest.raises(TrimaranError, match=r"^in ensemble .* is large, and another large"):
                client.infer("image_classifier", heavy)
            client.infer("image_classifier", {"IMAGE": images(PHOTOGRAPHS["chelsea.png"])})
        for _ in range(3):  # whichever instance had the place before
            client.infer("image_classifier", heavy)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"IMAGE": np.zeros((1, 1), np.float32)}, "'FP32', but model .* expects 'BYTES'"),
        ({"IMAGE": np.full((1, 2), b"x", object)}, r"[Ee]xpected \[-1,1\].*got \[1,2\]"),
        ({"PICTURE": np.full((1, 1), b"x", object)}, "PICTURE"),
        ({"IMAGE": np.full((33, 1), b"x", object)}, "33.*32|<= 32|exceed"),
    ],
    ids=["dtype", "shape", "name", "batch"],
)
def test_wrong_requests_name_expected_and_found(
    served: Served, inputs: dict[str, np.ndarray], message: str, protocol: Protocol
) -> None:
    with served.client(protocol) as client, pytest.raises(TrimaranError, match=message):
        client.infer("image_classifier", inputs)


@pytest.fixture(scope="module")
def batching(exported: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose preprocessing waits until images come together, and takes small ones only."""
    root = tmp_path_factory.mktemp("batching") / "model_repository"
    copied = subprocess.run(["cp", "-r", exported.root, root], check=True)
    assert copied.returncode == 0
    repository = Repository.open(root)
    for name in repository.names():
        repository.live_path(name).unlink(missing_ok=True)
    path = repository.config_path("image_preprocess")
    config = read_config(path)
    config.dynamic_batching.max_queue_delay_microseconds = 300_000
    config.dynamic_batching.preferred_batch_size.append(16)
    config.parameters["max_megapixels"].string_value = "1"
    write_config(path, config)
    assert call_trimaran("release", "image_classifier", "--repository", root).status == 0
    feedback = ("publish", "ensembles.efficientnet_lite0:feedback", "--repository", root)
    assert call_trimaran(*feedback).status == 0
    models = ("--model", "image_classifier", "--model", "image_classifier_feedback")
    running = start_serving(repository, *models, "--log-predictions")
    yield running
    running.stop()


def test_bad_images_fail_alone_in_a_mixed_batch(batching: Served) -> None:
    """Sixteen requests meet in one batch; every second one is bad in another way."""
    good = PHOTOGRAPHS["chelsea.png"]
    bad = {
        "is empty": b"",
        "is not a JPEG, PNG or WebP file": b"just text",
        "is truncated or damaged": good[: len(good) // 2],
        r"is animated \(2 frames\)": animated(),
        "2000 x 1000 pixels, more than the limit of 1 megapixels": blank(2000, 1000),
        "looks like base64 but is not": b"/9j/!!",
    }
    faults = (list(bad.items()) * 2)[:8]
    requests = [data for fault in faults for data in (good, fault[1])]
    before = batches(batching)
    with ThreadPoolExecutor(len(requests)) as pool:
        outcomes = list(pool.map(lambda data: classify(batching, data), requests))
    ran = batches(batching) - before
    assert ran < len(requests), "the requests were not batched, so nothing was proven"
    for index, outcome in enumerate(outcomes):
        if index % 2 == 0:
            assert outcome[0] == b"tiger cat"
        else:
            assert isinstance(outcome, str)
            assert faults[index // 2][0].replace("\\", "") in outcome


def test_labels_are_judged_by_the_ids_of_their_requests(batching: Served, tmp_path: Path) -> None:
    with batching.client() as client:
        image = {"IMAGE": images(PHOTOGRAPHS["chelsea.png"])}
        answer = client.infer("image_classifier", image, request_id="upload-1")
        client.infer("image_classifier", image, request_id="upload-2")
        client.infer("image_classifier", image, request_id="upload-3")
    ranking = [each.decode() for each in answer.outputs["LABEL"].ravel()]
    path, root = tmp_path / "outcomes.csv", batching.repository.root
    told = [ranking[0], ranking[2], next(each for each in class_names() if each not in ranking)]
    rows = "".join(f'upload-{place + 1},"{label}"\n' for place, label in enumerate(told))
    path.write_text(f"request_id,outcome\n{rows}")

    def counted() -> bool:
        given = ("feedback", "image_classifier", "--input", path, "--repository", root)
        return call_trimaran(*given).status == 0

    wait_for(counted, 10, "the log's lines")
    url = f"http://127.0.0.1:{batching.ports.metrics}/metrics"
    metrics = urllib3.request("GET", url).data.decode()
    for cell in ("first", "among", "neither"):
        labels = f'cell="{cell}",model="image_classifier",version="2"'
        assert f"trimaran_outcomes_total{{{labels}}} 1" in metrics


def classify(served: Served, data: bytes) -> list[bytes] | str:
    with served.client() as client:
        try:
            answer = client.infer("image_classifier", {"IMAGE": images(data)})
        except TrimaranError as error:
            return str(error)
    labels: list[bytes] = answer.outputs["LABEL"][0].tolist()
    return labels


def batches(served: Served) -> int:
    return sum(int(s["execution_count"]) for s in served.control.statistics("image_preprocess"))


def images(*files: bytes) -> np.ndarray:
    return np.array([[file] for file in files], dtype=np.object_)


def animated() -> bytes:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green")]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    return file.getvalue()


def blank(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def curl(served: Served, tmp_path: Path, call: str, body: object) -> dict[str, object]:
    path = tmp_path / f"{call}.json"
    path.write_text(json.dumps(body))
    url = served.url(f"/v2/models/image_classifier/{call}")
    result = subprocess.run(
        ["curl", "-s", "--json", f"@{path}", url],
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


def test_an_ensemble_of_another_name_leaves_the_first_as_it_is(
    empty_repository: Repository,
) -> None:
    classifier = ModelConfig(name="any", backend="onnxruntime", max_batch_size=32)
    size = SETTINGS.size
    image, logits = tensor("image", "FP32", 3, size, size), tensor("logits", "FP32", 2)
    add_tensors(classifier, [image], [logits])
    publish_files(empty_repository, classifier, {"model.onnx": b""})
    for name in ("image_classifier", "second"):
        settings = SETTINGS if name != "second" else replace(SETTINGS, mean=(0.0, 0.0, 0.0))
        pipeline = image_classifier("any", ["a", "b"], settings, top=1, name=name)
        publish(pipeline, empty_repository)
        make_release(empty_repository, name)
    assert read_release(empty_repository, "image_classifier", 1).pins == {
        "any": 1, "image_preprocess": 1, "image_labels": 1,
    }  # fmt: skip
    assert read_release(empty_repository, "second", 1).pins == {
        "any": 1, "second_preprocess": 1, "second_labels": 1,
    }  # fmt: skip
    manifest = empty_repository.version("second_labels", 1).manifest
    assert manifest is not None
    assert manifest.ensemble == "second"


def test_what_an_ensemble_needs_is_published_only_if_it_fits(empty_repository: Repository) -> None:
    pipeline = image_classifier("missing", ["a", "b"], SETTINGS, top=1)
    with pytest.raises(TrimaranError, match="missing"):
        publish(pipeline, empty_repository)
    assert empty_repository.names() == []


def test_top_beyond_the_labels_is_refused() -> None:
    with pytest.raises(TrimaranError, match="top is 5; with 3 labels"):
        image_classifier("any", ["a", "b", "c"], SETTINGS)
