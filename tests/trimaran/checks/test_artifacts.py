"""Each rule on the file that a version serves: sources, plans, TorchScript and ONNX."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from tests.trimaran.checks.judging import (
    BY_FILE,
    CONFIG,
    ONNX,
    PYTHON,
    SOURCE,
    Found,
    X,
    Y,
    found,
    judged,
    relu,
    torchscript,
)
from trimaran.checks.judge import judge
from trimaran.checks.reading import model_directories, read_model
from trimaran.repository.repository import Repository

TENSORRT = PYTHON.replace("python", "tensorrt")
STRATEGY = (
    'parameters { key: "execution_context_allocation_strategy" value { string_value: "%s" } }'
)
PYTORCH = PYTHON.replace("python", "pytorch")
TORCHSCRIPT = torchscript()


def missing_tensors(kind: str) -> Found:
    sentence = (
        f"there is no {kind}, and no model.pt describes its {kind}s; declare every {kind}, with "
        "its name, data_type and dims"
    )
    return ("error", CONFIG, kind, sentence)


CASES: dict[str, tuple[dict[str, str | bytes], list[Found]]] = {
    "a directory in place of a source": (
        {CONFIG: PYTHON, "m/1/model.py/model.py": SOURCE},
        [
            (
                "error",
                "m/1",
                "",
                "1/model.py is missing, which backend python loads; add it, or correct "
                "default_model_filename",
            )
        ],
    ),
    "a source that is no Python": (
        {CONFIG: PYTHON, "m/1/model.py": "def ("},
        [
            (
                "error",
                "m/1/model.py",
                "",
                "1/model.py is not valid Python in line 1: invalid syntax; correct it",
            )
        ],
    ),
    "a source without the class": (
        {CONFIG: PYTHON, "m/1/model.py": ""},
        [("error", "m/1/model.py", "", "1/model.py has no class TritonPythonModel; correct it")],
    ),
    "profiles, and a plan that shows the backend": (
        {
            CONFIG: BY_FILE + 'instance_group { profile: [ "1", "2" ] }',
            "m/1/model.plan": "x",
        },
        [],
    ),
    "a profile that is no number": (
        {CONFIG: TENSORRT + 'instance_group { profile: "best" }', "m/1/model.plan": "x"},
        [
            (
                "error",
                CONFIG,
                "instance_group[0].profile",
                "profile 'best' is no number; number it from 0",
            )
        ],
    ),
    "a shape tensor of TensorRT": (
        {
            CONFIG: TENSORRT.replace("[ 4 ]", "[ 4 ] is_shape_tensor: true", 1),
            "m/1/model.plan": "x",
        },
        [],
    ),
    "tensors that a plan completes": (
        {CONFIG: 'backend: "tensorrt" input { name: "x" }', "m/1/model.plan": "x"},
        [],
    ),
    "a strategy that TensorRT does not have": (
        {CONFIG: BY_FILE + STRATEGY % "LATE", "m/1/model.plan": "x"},
        [
            (
                "error",
                CONFIG,
                "parameters.execution_context_allocation_strategy",
                "execution_context_allocation_strategy is 'LATE'; write STATIC or "
                "ON_PROFILE_CHANGE",
            )
        ],
    ),
    "one that it has": (
        {CONFIG: TENSORRT + STRATEGY % "ON_PROFILE_CHANGE", "m/1/model.plan": "x"},
        [],
    ),
    "a profile where the file shows another backend": (
        {
            CONFIG: BY_FILE + 'instance_group { profile: "1" }',
            "m/1/model.py": SOURCE,
        },
        [
            (
                "error",
                CONFIG,
                "instance_group[0].profile",
                "profile is set, which only TensorRT models have; remove it",
            )
        ],
    ),
    "a plan before a source": (
        {
            CONFIG: PYTHON.replace('backend: "python"', ""),
            "m/1/model.plan": "x",
            "m/1/model.py": "",
        },
        [],
    ),
    "PyTorch without outputs": (
        {CONFIG: PYTORCH.replace(Y, ""), "m/1/model.pt": TORCHSCRIPT},
        [missing_tensors("output")],
    ),
    "PyTorch without inputs": (
        {CONFIG: PYTORCH.replace(X, ""), "m/1/model.pt": TORCHSCRIPT},
        [missing_tensors("input")],
    ),
    "PyTorch by its file, without anything": (
        {CONFIG: "", "m/1/model.pt": TORCHSCRIPT},
        [missing_tensors("input"), missing_tensors("output")],
    ),
    "PyTorch without a configuration": (
        {"m/1/model.pt": TORCHSCRIPT},
        [missing_tensors("input"), missing_tensors("output")],
    ),
    "a type that PyTorch does not serve": (
        {CONFIG: PYTORCH.replace("FP32", "UINT16", 1), "m/1/model.pt": TORCHSCRIPT},
        [
            (
                "error",
                CONFIG,
                "input.x.data_type",
                "input 'x' is TYPE_UINT16, which the pytorch backend does not serve; use another "
                "type",
            )
        ],
    ),
    "an optional input of PyTorch": (
        {CONFIG: PYTORCH.replace("[ 4 ]", "[ 4 ] optional: true", 1), "m/1/model.pt": TORCHSCRIPT},
        [
            (
                "error",
                CONFIG,
                "input.x.optional",
                "input 'x' is optional, which the pytorch backend does not support; remove "
                "optional",
            )
        ],
    ),
    "a good ONNX file": ({CONFIG: ONNX, "m/1/model.onnx": relu()}, []),
    "a fixed batch axis": (
        {CONFIG: ONNX, "m/1/model.onnx": relu(batch=1)},
        [
            (
                "error",
                CONFIG,
                "max_batch_size",
                "1/model.onnx has 'x' of the fixed shape [1, 4], which takes no batches; export it "
                "with an open first axis, or set max_batch_size to 0",
            )
        ],
    ),
    "another width": (
        {CONFIG: ONNX.replace("[ 4 ]", "[ 5 ]", 1), "m/1/model.onnx": relu()},
        [
            (
                "error",
                CONFIG,
                "input.x.dims",
                "input 'x' is [5] but [4] in 1/model.onnx, without the batch axis; make them equal",
            )
        ],
    ),
    "another type": (
        {CONFIG: ONNX.replace("FP32", "FP16", 1), "m/1/model.onnx": relu()},
        [
            (
                "error",
                CONFIG,
                "input.x.data_type",
                "input 'x' is FP16 but FP32 in 1/model.onnx; make them equal",
            )
        ],
    ),
    "another name": (
        {CONFIG: ONNX, "m/1/model.onnx": relu(name="z")},
        [
            (
                "error",
                CONFIG,
                "input.x",
                "input 'x' is not in 1/model.onnx, which has z; name it as the file does",
            ),
            (
                "error",
                CONFIG,
                "input.z",
                "1/model.onnx needs input 'z', which the configuration does not have; add it",
            ),
        ],
    ),
    "an empty ONNX file": (
        {CONFIG: ONNX, "m/1/model.onnx": b""},
        [
            (
                "error",
                "m/1/model.onnx",
                "",
                "1/model.onnx is empty; copy or export the model again",
            )
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_found_in_the_file_of_a_version(case: str, tmp_path: Path) -> None:
    files, expected = CASES[case]
    assert found(judged(tmp_path, files)) == expected


def test_weights_that_no_operator_uses_are_not_looked_for(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(relu())
    weight = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="missing.bin")
    files = {CONFIG: ONNX, "m/1/model.onnx/model.onnx": model.SerializeToString()}
    assert found(judged(tmp_path, files)) == []
    files = {"n/config.pbtxt": ONNX, "n/1/model.onnx": model.SerializeToString()}
    assert found(judged(tmp_path / "file", files)) == []


def test_without_the_package_onnx_a_note_says_what_was_not_checked(tmp_path: Path) -> None:
    judged(tmp_path, {CONFIG: ONNX, "m/1/model.onnx": relu()})
    repository = Repository.open(tmp_path / "models")
    facts = {name: read_model(repository, name) for name in model_directories(repository)}
    report = judge("here", facts, graphs=False)
    assert [finding.sentence for finding in report.findings if not finding.model] == [
        "ONNX files were not checked, because the package onnx is not installed; install it "
        "with pip install '.[export]' in trimaran's checkout"
    ]
