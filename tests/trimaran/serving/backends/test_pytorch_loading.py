"""The stand-in for the `pytorch` backend refuses what the native one refuses."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping

import pytest
import torch

from tests.trimaran.repository.model_files.packages import package_entries
from tests.trimaran.serving.backends.torchscript_models import Twice, X, Y, config, model, scripted
from tests.trimaran.serving.hosting import Hosted, Model, hosted, parameter, tensor

pytestmark = pytest.mark.long

AOTI = 'platform: "torch_aoti"\n'


def package(
    name: str,
    facts: Mapping[str, str],
    held: Mapping[str, bytes] | None = None,
    *,
    more: str = "",
) -> Model:
    """A model of the platform `torch_aoti` whose package must not be loaded."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, data in {**package_entries(facts), **(held or {})}.items():
            archive.writestr(path, data)
    return Model(name, config(X, Y, more=AOTI + more), {"model.pt2": content.getvalue()})


REFUSED = {
    "count": (
        model("count", Twice(), X, tensor("input", "z", "FP32", [4]), Y),
        "unable to load model 'count', configuration expects 2 inputs, model provides 1",
    ),
    "corrupt": (
        Model("corrupt", config(X, Y), {"model.pt": b"not a model"}),
        "failed to load model 'corrupt': ",
    ),
    "no_file": (
        Model("no_file", config(X, Y)),
        "no_file/1/model.pt' for model instance 'no_file'",
    ),
    "unsigned": (
        Model("unsigned", config(tensor("input", "x", "UINT16", [4]), Y)),
        "unsupported datatype TYPE_UINT16 for input 'x' for model 'unsigned'",
    ),
    "unsigned_output": (
        Model("unsigned_output", config(X, tensor("output", "y__0", "UINT64", [4]))),
        "unsupported datatype TYPE_UINT64 for output 'y__0' for model 'unsigned_output'",
    ),
    "string_matrix": (
        Model("string_matrix", config(tensor("input", "x", "STRING", [2]), Y, batch=8)),
        "Triton only supports 1 dimensional List of String as input for 'x' for model "
        "'string_matrix'",
    ),
    "optional": (
        Model(
            "optional",
            config('input { name: "x" data_type: TYPE_FP32 dims: [4] optional: true }\n', Y),
        ),
        "'optional' is set to true for input 'x' while the backend model doesn't support optional",
    ),
    "stateful": (
        Model(
            "stateful",
            config(
                X,
                Y,
                batch=8,
                more='sequence_batching { control_input { name: "START__1" control { kind: '
                "CONTROL_SEQUENCE_START fp32_false_true: [0, 1] } } }\n",
            ),
        ),
        "unable to load model 'stateful', sequence_batching with control_input needs NVIDIA's",
    ),
    "bad_parameter": (
        model("bad_parameter", Twice(), X, Y, more=parameter("INFERENCE_MODE", "maybe")),
        "failed to convert 'maybe' to boolean",
    ),
    "another_torch": (
        package("another_torch", {"TRIMARAN_TORCH": "2.0.1"}),
        "was compiled with torch 2.0.1, and here is torch ",
    ),
    "another_device": (
        package("another_device", {"AOTI_DEVICE_KEY": "cuda", "AOTI_COMPUTE_CAPABILITY": "1"}),
        "was compiled for a GPU of compute capability 1, and ",
    ),
    "hostile": (
        package("hostile", {}, {"m/data/weights/a.so": b""}),
        "holds a shared library in 'data/weights/a.so', where torch packs none",
    ),
    "no_package": (
        Model("no_package", config(X, Y, more=AOTI), {"model.pt": b""}),
        "no_package/1/model.pt2' for model instance 'no_package'",
    ),
}
"""Models that cannot be served, and in which words their loading is refused."""

ON_GPU = "instance_group { kind: KIND_GPU }\n"
if not torch.cuda.is_available():
    REFUSED["on_gpu"] = (
        model("on_gpu", Twice(), X, Y, more=ON_GPU),
        "of model on_gpu has kind KIND_GPU but no GPUs are available",
    )
    REFUSED["compiled_on_gpu"] = (
        package("compiled_on_gpu", {}, more=ON_GPU),
        "of model compiled_on_gpu has kind KIND_GPU but no GPUs are available",
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    models = [model for model, _ in REFUSED.values()]
    with hosted(tmp_path_factory.mktemp("refused"), models) as running:
        yield running


@pytest.mark.parametrize("name", REFUSED)
def test_a_configuration_that_does_not_fit_is_refused(server: Hosted, name: str) -> None:
    assert REFUSED[name][1] in server.reason(name)


def test_completion_is_not_supported(server: Hosted) -> None:
    bare = Model("bare", config(batch=4), {"model.pt": scripted(Twice())})
    assert "at least one output" in server.load_refusal(bare)
