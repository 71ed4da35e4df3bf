"""The contents of a model file are checked as by the server that loads it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnxruntime
import pytest

from tests.trimaran.checks.graphs import Change, external, linear, put, sequence
from tests.trimaran.checks.judging import found, judged, torchscript
from tests.trimaran.repository.model_files.packages import package_entries
from tests.trimaran.versions import model_config, publish_files
from trimaran.checks import onnx_files, onnx_problems
from trimaran.checks.api import check
from trimaran.checks.onnx_files import read_onnx
from trimaran.repository import target
from trimaran.repository.repository import Repository

X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }'
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }'
ONNX = f'backend: "onnxruntime" max_batch_size: 8 {X} {Y} '
TORCH = f'backend: "pytorch" max_batch_size: 8 {X} {Y} '


def unknown_function(model: onnx.ModelProto) -> None:
    put(model.graph.node[1], domain="my.own")
    model.opset_import.append(onnx.helper.make_opsetid("my.own", 1))


GRAPHS: dict[str, tuple[Change, str]] = {
    "missing weights": (
        external("w.bin"),
        "the weights of 'w' are in 'w.bin', which does not exist",
    ),
    "short weights": (external("short.bin"), "'short.bin', which has 9 bytes where the model"),
    "an opset of the future": (
        lambda m: put(m.opset_import[0], version=99),
        "1/model.onnx has opset 99, and ",
    ),
    "an IR version of the future": (
        lambda m: put(m, ir_version=99),
        "1/model.onnx has ONNX's IR version 99, and ",
    ),
    "an unknown operator": (
        lambda m: put(m.graph.node[0], op_type="MatMull"),
        "1/model.onnx has the operator MatMull, which ONNX Runtime",
    ),
    "an unknown domain": (unknown_function, "has the operator my.own.Gelu, which ONNX Runtime"),
    "shapes that do not fit": (
        lambda m: m.graph.initializer[0].dims.__setitem__(slice(None), [2, 8]),
        "Incompatible dimensions",
    ),
    "an undefined input": (
        lambda m: m.graph.node[2].input.__setitem__(0, "nothing"),
        "Node input 'nothing' is not a graph input",
    ),
    "a name that is made twice": (
        lambda m: m.graph.node[1].output.__setitem__(0, "t"),
        "Duplicate definition of name (t)",
    ),
    "another type than is made": (
        lambda m: put(m.graph.output[0].type.tensor_type, elem_type=7),
        "Type Error",
    ),
    "an attribute that the operator does not have": (
        lambda m: m.graph.node[2].attribute.append(onnx.helper.make_attribute("alpha", 1.0)),
        "Unrecognized attribute: alpha for operator Relu",
    ),
    "a sequence": (sequence, "output 'y' of 1/model.onnx is a sequence, and Triton serves tensors"),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_an_onnx_file_that_the_server_refuses_is_an_error(case: str, tmp_path: Path) -> None:
    change, said = GRAPHS[case]
    files = {
        "m/config.pbtxt": ONNX,
        "m/1/model.onnx": linear(change),
        "m/1/short.bin": bytes(9),
        "n/config.pbtxt": ONNX,
        "n/1/model.onnx": linear(),
    }
    findings = found(judged(tmp_path, files))
    assert [(severity, file.partition("/")[0]) for severity, file, _, _ in findings] == [
        ("error", "m")
    ]
    assert said in findings[0][3]
    assert "; " in findings[0][3]


@pytest.mark.parametrize(
    "change",
    [
        external("there.bin"),
        lambda m: m.graph.value_info.append(
            onnx.helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, ["batch", 7])
        ),
        lambda m: put(m.graph.node[2], domain="ai.onnx"),
        lambda m: put(m.opset_import[0], version=21),
    ],
)
def test_an_onnx_file_that_the_server_loads_is_not_refused(change: Change, tmp_path: Path) -> None:
    graph = {"model.onnx": linear(change), "there.bin": bytes(64)}
    plain = {f"m/1/{name}": content for name, content in graph.items()}
    whole = {f"d/1/model.onnx/{name}": content for name, content in graph.items()}
    files = {"m/config.pbtxt": ONNX, "d/config.pbtxt": ONNX, **plain, **whole}
    assert found(judged(tmp_path, files)) == []


def test_shapes_are_those_that_the_server_infers_and_not_those_that_a_file_declares(
    tmp_path: Path,
) -> None:
    def five(model: onnx.ModelProto) -> None:
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 5

    wide = ONNX.replace("[ 4 ] }", "[ 5 ] }").replace("[ 5 ] }", "[ 4 ] }", 1)
    files = {"m/config.pbtxt": wide, "m/1/model.onnx": linear(five)}
    assert [f[:3] for f in found(judged(tmp_path, files))] == [
        ("error", "m/config.pbtxt", "output.y.dims")
    ]


@pytest.mark.parametrize("case", GRAPHS)
def test_without_onnx_runtime_the_package_onnx_reports(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_files, "load_graph", lambda path, level: None)
    monkeypatch.setattr(onnx_problems, "registry", lambda: None)
    path = tmp_path / "model.onnx"
    path.write_bytes(linear(GRAPHS[case][0]))
    (tmp_path / "short.bin").write_bytes(bytes(9))
    graph = read_onnx(path)
    assert not isinstance(graph, str)
    refused = graph.problems or [item for item in graph.outputs if item.kind != "tensor"]
    # It knows neither other domains nor what their functions make.
    assert bool(refused) == (case not in ("an unknown domain", "another type than is made"))
    path.write_bytes(linear())
    sound = read_onnx(path)
    assert not isinstance(sound, str)
    assert sound.problems == ()


def test_the_limits_without_onnx_runtime_are_among_those_that_an_installed_one_reads(
    tmp_path: Path,
) -> None:
    def newest(model: onnx.ModelProto) -> None:
        put(model.opset_import[0], version=target.READ_OPSET)
        put(model, ir_version=target.READ_IR_VERSION)

    session = onnxruntime.InferenceSession(linear(newest))
    assert [item.name for item in session.get_outputs()] == ["y"]


def test_a_type_that_the_backend_does_not_serve(tmp_path: Path) -> None:
    kind = onnx.TensorProto.BFLOAT16
    x, y = (onnx.helper.make_tensor_value_info(name, kind, ["batch", 4]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10
    )
    config = ONNX.replace("FP32", "BF16")
    files = {"m/config.pbtxt": config, "m/1/model.onnx": model.SerializeToString()}
    assert [item[2] for item in found(judged(tmp_path, files))] == ["input.x", "output.y"]


def test_operators_of_a_library_are_not_checked(tmp_path: Path) -> None:
    library = 'model_operations { op_library_filename: "own.so" }'
    files = {"m/config.pbtxt": ONNX + library, "m/1/model.onnx": linear(unknown_function)}
    assert found(judged(tmp_path, files)) == []


def test_what_was_published_and_is_unchanged_is_not_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository.create(tmp_path / "models")
    publish_files(repository, model_config("m"), {"model.onnx": linear()})
    monkeypatch.setattr(onnx_files, "load_graph", lambda path, level: 1 / 0)
    assert found(check(repository)) == []


GENUINE = torchscript()
ARCHIVES = {
    "empty": (b"", "1/model.pt is empty"),
    "a page": (b"<!DOCTYPE html>", "1/model.pt is a page of HTML or XML"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "1/model.pt is a Git LFS point"),
    "a state dict": (
        torchscript("data.pkl", "version"),
        "1/model.pt is a checkpoint",
    ),
    "an old state dict": (b"\x80\x02}q\x00.", "1/model.pt is a Python pickle"),
    "an exported program": (
        torchscript("archive_format"),
        "1/model.pt is a program of torch",
    ),
    "an ONNX file": (linear(), "1/model.pt is not TorchScript"),
    "a plan": (b"ptrt" + bytes(99), "1/model.pt is a TensorRT plan"),
    "cut short": (GENUINE[:-40], "1/model.pt is a zip archive that is damaged or cut short"),
    "text": (b"not a model", "1/model.pt is not TorchScript"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_file_that_is_no_torchscript_is_an_error(case: str, tmp_path: Path) -> None:
    content, said = ARCHIVES[case]
    files = {"m/config.pbtxt": TORCH, "m/1/model.pt": content}
    findings = found(judged(tmp_path, files))
    assert [item[:3] for item in findings] == [("error", "m/1/model.pt", "")]
    assert findings[0][3].startswith(said)


@pytest.mark.parametrize("suffix", ["onnx", "plan"])
@pytest.mark.parametrize("case", ["empty", "a page", "a pointer", "an old state dict"])
def test_a_file_that_is_no_model_is_named_for_what_it_is(
    case: str, suffix: str, tmp_path: Path
) -> None:
    content, said = ARCHIVES[case]
    backend = {"onnx": "onnxruntime", "plan": "tensorrt"}[suffix]
    files = {
        "m/config.pbtxt": TORCH.replace("pytorch", backend),
        f"m/1/model.{suffix}": content,
    }
    findings = found(judged(tmp_path, files))
    assert [item[:3] for item in findings] == [("error", f"m/1/model.{suffix}", "")]
    assert findings[0][3].startswith(said.replace("model.pt", f"model.{suffix}"))


@pytest.mark.parametrize(("config", "content"), [(TORCH, b"x"), (ONNX, b"x"), (ONNX, b"")])
def test_a_file_of_another_name_is_checked_as_its_backend_loads_it(
    config: str, content: bytes, tmp_path: Path
) -> None:
    named = config + 'default_model_filename: "weights.bin"'
    findings = found(judged(tmp_path, {"m/config.pbtxt": named, "m/1/weights.bin": content}))
    assert [item[:2] for item in findings] == [("error", "m/1/weights.bin")]


def test_torchscript_is_no_error(tmp_path: Path) -> None:
    files = {"m/config.pbtxt": TORCH, "m/1/model.pt": GENUINE}
    assert found(judged(tmp_path, files)) == []


PACKAGE = (
    'backend: "pytorch" platform: "torch_aoti" max_batch_size: 8 '
    'input { name: "INPUT__0" data_type: TYPE_FP32 dims: [ 4 ] } '
    'output { name: "RESULT[0]" data_type: TYPE_FP32 dims: [ 4 ] } '
)

START = (
    'control_input { name: "START__1" '
    "control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } }"
)


def packed(facts: Mapping[str, str] | None = None) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in package_entries(facts).items():
            archive.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize("more", ["", "sequence_batching { }"])
def test_a_package_of_aotinductor_is_no_error(tmp_path: Path, more: str) -> None:
    files = {"m/config.pbtxt": f"{PACKAGE} {more}", "m/1/model.pt2": packed()}
    assert found(judged(tmp_path, files)) == []


@pytest.mark.parametrize(
    ("config", "files", "problem"),
    [
        (PACKAGE, {"model.pt": torchscript()}, "1/model.pt2 is missing, which platform torch_aoti"),
        (
            f'{PACKAGE} default_model_filename: "model.pt"',
            {"model.pt": torchscript()},
            "1/model.pt is no package of AOTInductor, which torch_aoti loads",
        ),
        (TORCH, {"model.pt": packed()}, "1/model.pt is a package of AOTInductor"),
        (PACKAGE, {"model.pt2": packed({"TRIMARAN_TORCH": "2.0"})}, "compiled with torch 2.0, and"),
        (
            PACKAGE.replace("INPUT__0", "image"),
            {"model.pt2": packed()},
            "input 'image' has a name that torch_aoti does not have",
        ),
        (
            PACKAGE.replace("INPUT__0", "INPUT__1"),
            {"model.pt2": packed()},
            "the inputs are INPUT__1, without number 0",
        ),
        (
            PACKAGE.replace("RESULT[0]", "OUTPUT__1"),
            {"model.pt2": packed()},
            "1/model.pt2 has no output 'OUTPUT__1'",
        ),
        (
            f'{PACKAGE} input {{ name: "ARGS[0]" data_type: TYPE_FP32 dims: [ 4 ] }}',
            {"model.pt2": packed()},
            "1/model.pt2 takes INPUT__0, and the inputs are INPUT__0, ARGS[0]",
        ),
        (
            f"{PACKAGE} instance_group {{ kind: KIND_GPU }}",
            {"model.pt2": packed()},
            "1/model.pt2 was compiled for cpu, and an instance is KIND_GPU",
        ),
        (
            f"{PACKAGE} sequence_batching {{ {START} }}",
            {"model.pt2": packed()},
            "sequence_batching has control_input, which torch_aoti counts",
        ),
    ],
)
def test_a_package_that_the_server_refuses_is_an_error(
    tmp_path: Path, config: str, files: Mapping[str, bytes], problem: str
) -> None:
    named = {f"m/1/{name}": content for name, content in files.items()}
    report = judged(tmp_path, {"m/config.pbtxt": config, **named})
    assert any(problem in finding.found for finding in report.findings), report.findings
