"""What a GPU changes, on one: devices, answers, packages compiled for it, and an ensemble."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ensembles.image_classifier import image_classifier
from ensembles.publish import publish_pipeline
from exporters.export import ExportResult, Options, export_model
from exporters.original import run_original
from exporters.spec import ModelSpec
from tests.exporters.quadrants import SIDE, quadrants
from tests.trimaran.serving.backends.torchscript_models import scripted
from tests.trimaran.serving.hosting import Hosted, Model, tensor
from trimaran.repository.config import read_config, write_config
from trimaran.repository.repository import Repository
from trimaran.served.decoding import ImageSettings
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import private_server

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

GPU = "cuda"
GPU_KIND = "KIND_GPU"
KINDS = {"on_gpu": f"kind: {GPU_KIND}", "anywhere": "", "on_cpu": "kind: KIND_CPU"}
TENSORS = (
    tensor("input", "x", "FP32", [4])
    + tensor("output", "doubled__0", "FP32", [4])
    + tensor("output", "device__1", "FP32", [4])
)


class Where(nn.Module):
    """Says for each number whether it was computed on a GPU."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x * 2, torch.full_like(x, 1.0 if x.is_cuda else 0.0)


class Convolution(nn.Module):
    """Layers whose answers TF32 would change beyond the tolerance."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 16, 3), nn.Flatten(), nn.Linear(256, 5)
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


def convolution(name: str, device: str) -> ModelSpec:
    return ModelSpec(name, Convolution().to(device), {"image": images(2)}, ["logits"])


def images(rows: int) -> Tensor:
    return torch.randn(rows, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(rows))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.create(tmp_path_factory.mktemp("gpu") / "models")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.create(tmp_path_factory.mktemp("compiled") / "models")


@pytest.fixture(scope="module")
def packages(compiled: Repository) -> list[ExportResult]:
    """AOTI of one network for the GPU, exported twice, and of another for the CPU."""
    asked = [("compiled", GPU), ("compiled", GPU), ("elsewhere", "cpu")]
    return [
        export_model(
            run_original(convolution(name, device), 8),
            "aoti",
            compiled,
            "tests",
            options=Options(device=device),
        )
        for name, device in asked
    ]


@pytest.fixture(scope="module")
def served(repository: Repository) -> Iterator[Hosted]:
    for name, kind in KINDS.items():
        text = f'backend: "pytorch"\ninstance_group {{ {kind} }}\n{TENSORS}'
        Model(name, text, {"model.pt": scripted(Where())}).write(repository)
    publish_image_ensemble(repository)
    move_to_gpu(repository, "quadrants_torchscript")
    with private_server(find_runtime(), repository, repository.names()) as server:
        yield Hosted(server)


@pytest.fixture(scope="module")
def served_packages(packages: list[ExportResult], compiled: Repository) -> Iterator[Hosted]:
    move_to_gpu(compiled, "elsewhere_aoti")
    with private_server(find_runtime(), compiled, compiled.names()) as server:
        yield Hosted(server)


def move_to_gpu(repository: Repository, model: str) -> None:
    path = repository.config_path(model)
    moved = read_config(path)
    for group in moved.instance_group:
        group.kind = group.Kind.Value(GPU_KIND)
    write_config(path, moved)


def publish_image_ensemble(repository: Repository) -> None:
    export_model(run_original(quadrants(), 8), "torchscript", repository, "tests")
    pipeline = image_classifier(
        "quadrants_torchscript",
        ["top left", "top right", "bottom left", "bottom right"],
        ImageSettings(size=SIDE, crop=1.0, mean=(127.0,) * 3, std=(128.0,) * 3),
        name="photo",
        input_name="image__0",
        output_name="logits__0",
        top=2,
        max_batch_size=8,
    )
    publish_pipeline(repository, pipeline, "tests")
    (repository.model("photo") / "1").mkdir()


@pytest.mark.parametrize(("model", "found"), [("on_gpu", 1), ("anywhere", 1), ("on_cpu", 0)])
def test_torchscript_runs_where_its_instance_group_says(
    served: Hosted, model: str, found: int
) -> None:
    x = np.arange(4, dtype=np.float32)
    answer = served.infer(model, {"x": x})
    np.testing.assert_array_equal(answer["doubled__0"], x * 2)
    np.testing.assert_array_equal(answer["device__1"], np.full(4, found))


def test_a_package_is_compiled_for_the_gpu_and_served_there(
    served_packages: Hosted, packages: list[ExportResult], compiled: Repository
) -> None:
    for result in packages:
        assert result.parity.passed, result.parity.problem
    assert [p.publication and p.publication.unchanged for p in packages] == [False, True, False]
    version = compiled.newest("compiled_aoti")
    assert version is not None
    assert version.manifest is not None
    made_for = {"device": GPU, "compute_capability": capability()}
    assert made_for.items() <= version.manifest.target.items()
    answer = served_packages.infer("compiled_aoti", {"INPUT__0": images(5).numpy()})["OUTPUT__0"]
    expected = Convolution()(images(5)).detach().numpy()
    # Triton's own backend, too, leaves TF32 on.
    np.testing.assert_allclose(answer, expected, rtol=1e-2, atol=1e-2)


def capability() -> str:
    return "{}.{}".format(*torch.cuda.get_device_capability())


def test_a_package_for_the_cpu_is_refused_on_a_gpu(served_packages: Hosted) -> None:
    reason = served_packages.reason("elsewhere_aoti")
    assert "was compiled for cpu, and its instance runs on cuda" in reason


@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_a_module_on_the_gpu_agrees_with_its_export(
    empty_repository: Repository, format: str
) -> None:
    spec = convolution("trained", GPU)
    result = export_model(run_original(spec, 8), format, empty_repository, "tests")
    assert spec.device.type == GPU
    assert result.parity.passed, result.parity.problem


def test_an_image_ensemble_classifies_on_the_gpu(served: Hosted) -> None:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[: SIDE // 2, SIDE // 2 :] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    answer = served.infer("photo", {"IMAGE": np.array([[file.getvalue()]], dtype=object)})
    assert answer["LABEL"][0, 0] == b"top right"
    (group,) = served.control.config("quadrants_torchscript")["instance_group"]
    assert group["kind"] == GPU_KIND
