"""`trimaran add`: each bad file gets its one sentence, and nothing is published."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from tests.exporters import model_files as files
from tests.exporters.adding_files import FLOAT, add, zip_of
from trimaran.repository import target
from trimaran.repository.repository import Repository

NEXT_OPSET = target.READ_OPSET + 1
NEXT_IR = target.READ_IR_VERSION + 1


class Unsafe:
    """A pickle that leaves a mark if it is ever opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def test_no_pickle_is_opened(empty_repository: Repository, tmp_path: Path) -> None:
    mark = tmp_path / "opened"
    payload = pickle.dumps(Unsafe(mark))
    (tmp_path / "plain.pt").write_bytes(payload)
    zip_of(tmp_path / "checkpoint.pt", data_pkl=payload, version=b"3\n")
    zip_of(
        tmp_path / "disguised.pt",
        data_pkl=payload, constants_pkl=payload, version=b"3\n", code__a=b"",
    )  # fmt: skip
    for name, said in (
        ("plain", "is a Python pickle, which is never opened"),
        ("checkpoint", "is a checkpoint of torch.save"),
        ("disguised", "cannot be loaded by torch"),
    ):
        result = add(empty_repository, tmp_path / f"{name}.pt", "--input", "x:FP32[-1,3]")
        assert result.status == 1
        assert said in result.error
    assert not mark.exists()
    assert empty_repository.names() == []
    pickle.loads(payload)  # noqa: S301  the fault is real
    assert mark.exists()


def _cut(path: Path, size: int = -30) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _external(path: Path, location: str) -> Path:
    files.write_beside(files.weighted(), path)
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    return files.write(model, path)


def _linked(path: Path) -> Path:
    outside = path.parent.parent / f"{path.parent.name}_outside.bin"
    outside.write_bytes(bytes(48))
    _external(path, "link.bin")
    (path.parent / "link.bin").symlink_to(outside)
    return path


def _short_weights(path: Path) -> Path:
    files.write_beside(files.weighted(), path)
    _cut(path.with_name("weights.bin"), 20)
    return path


def _twice(path: Path) -> Path:
    model = files.unary("Relu", [1], [1])
    model.graph.output.append(model.graph.output[0])
    return files.write(model, path)


def _sequence(path: Path) -> Path:
    value = helper.make_tensor_sequence_value_info("y", FLOAT, None)
    model = files.unary("SequenceConstruct", [1], [1])
    model.graph.output[0].CopyFrom(value)
    return files.write(model, path)


def _no_inputs(path: Path) -> Path:
    constant = onnx.numpy_helper.from_array(np.ones(2, dtype=np.float32))
    node = helper.make_node("Constant", [], ["y"], value=constant)
    return files.write(files.onnx_model([node], [], [("y", FLOAT, [2])]), path)


def _unknown_operator(path: Path) -> Path:
    node = helper.make_node("Strange", ["x"], ["y"], domain="mine")
    value = ("x", FLOAT, [1]), ("y", FLOAT, [1])
    return files.write(files.onnx_model([node], value[:1], value[1:], domains=["mine"]), path)


def _old(path: Path) -> Path:
    node = helper.make_node("Add", ["x", "x"], ["y"])
    value = ("x", FLOAT, [1]), ("y", FLOAT, [1])
    return files.write(files.onnx_model([node], value[:1], value[1:], opset=6, ir_version=3), path)


def _random(path: Path) -> Path:
    noise = helper.make_node("RandomNormalLike", ["x"], ["r"], scale=0.01)
    node = helper.make_node("Add", ["x", "r"], ["y"])
    value = ("x", FLOAT, ["N", 4]), ("y", FLOAT, ["N", 4])
    return files.write(files.onnx_model([noise, node], value[:1], value[1:]), path)


def _dropped() -> onnx.ModelProto:
    weights = [
        onnx.numpy_helper.from_array(np.array(0.5, dtype=np.float32), "share"),
        onnx.numpy_helper.from_array(np.array(True), "training"),
    ]
    node = helper.make_node("Dropout", ["x", "share", "training"], ["y"])
    value = ("x", FLOAT, ["N", 4]), ("y", FLOAT, ["N", 4])
    return files.onnx_model([node], value[:1], value[1:], weights)


def _of_type(path: Path, kind: int) -> Path:
    node = helper.make_node("Identity", ["x"], ["y"])
    return files.write(files.onnx_model([node], [("x", kind, [1])], [("y", kind, [1])]), path)


def _future_script(path: Path) -> Path:
    files.write_script(files.Affine(), path)
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, b"99\n" if name.endswith("/version") else content)
    return path


def _checkpoint(path: Path) -> Path:
    torch.save(nn.Linear(2, 2).state_dict(), path)
    return path


def _legacy(path: Path) -> Path:
    torch.save(nn.Linear(2, 2).state_dict(), path, _use_new_zipfile_serialization=False)
    return path


def _program(path: Path) -> Path:
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),)), path)
    return path


def _bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("data.pkl", "constants.pkl", "code/a.py"):
            archive.writestr(f"m/{name}", bytes(2**25))
        archive.writestr("m/version", "3")
    return path


BAD_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda p: p, "no such file"),
    "directory": (lambda p: p.parent, "is a directory; name the model file in it"),
    "empty": (lambda p: _bytes(p, b""), "is empty"),
    "text": (lambda p: _bytes(p, b"hello, model"), "is not an ONNX, TorchScript or TensorRT file"),
    "zeros": (lambda p: _bytes(p, bytes(1000)), "is not an ONNX, TorchScript or TensorRT file"),
    "lfs": (lambda p: _bytes(p, b"version https://git-lfs.github.com"), "run 'git lfs pull'"),
    "html": (lambda p: _bytes(p, b"<!DOCTYPE html>"), "is a page of HTML"),
    "keras": (lambda p: _bytes(p, b"\x89HDF\r\n\x1a\n"), "is an HDF5 file"),
    "safetensors": (lambda p: _bytes(p, b"\x02" + bytes(7) + b'{"'), "is a safetensors file"),
    "plan": (lambda p: _bytes(p, b"ptrt" + bytes(60)), "only the package 'tensorrt' can read"),
    "engine_header": (lambda p: _bytes(p, b'\x09\0\0\0{"a":"b"}'), "behind a header"),
    "cut_onnx": (lambda p: _cut(files.write(files.weighted(), p)), "damaged or cut short"),
    "opset": (
        lambda p: files.write(files.unary("Relu", [1], [1], opset=NEXT_OPSET), p),
        f"has opset {NEXT_OPSET}, and container",
    ),
    "ir": (
        lambda p: files.write(files.unary("Relu", [1], [1], ir_version=NEXT_IR), p),
        f"has IR version {NEXT_IR}, and container",
    ),
    "old_opset": (_old, "its opset 6 is too old, so convert it with onnx.version_converter"),
    "unknown_operator": (_unknown_operator, "mine:Strange(-1) is not a registered"),
    "twice": (_twice, "has two outputs named 'y'"),
    "no_rank": (
        lambda p: files.write(files.unary("Relu", None, None), p),
        "input 'x' has no shape, and Triton needs the number of its axes",
    ),
    "sequence": (_sequence, "output 'y' is seq(tensor(float)), which Triton's"),
    "bfloat16": (lambda p: _of_type(p, TensorProto.BFLOAT16), "'x' is tensor(bfloat16)"),
    "zero_axis": (
        lambda p: files.write(files.unary("Relu", [0, 2], [0, 2]), p),
        "input 'x' has an axis of length 0",
    ),
    "no_inputs": (_no_inputs, "has no inputs"),
    "weights_missing": (lambda p: _external(p, "nowhere.bin"), "'nowhere.bin', which does not "
    "exist"),
    "weights_above": (lambda p: _external(p, "../weights.bin"), "not a path inside the model's"),
    "weights_absolute": (lambda p: _external(p, "/etc/passwd"), "not a path inside the model's"),
    "weights_linked": (_linked, "leads out of the model's directory"),
    "weights_short": (_short_weights, "has 20 bytes where the model expects 48 from byte 0"),
    "cut_script": (
        lambda p: _cut(files.write_script(files.Affine(), p)), "is a zip archive that is damaged"
    ),
    "future_script": (_future_script, "has TorchScript's file version 99, and container"),
    "checkpoint": (_checkpoint, "is a checkpoint of torch.save"),
    "legacy": (_legacy, "is a Python pickle"),
    "program": (_program, "is a program of torch.export (.pt2)"),
    "bomb": (_bomb, "bytes, which no model does"),
    "random": (_random, "gives different answers in 'y' when run again"),
    "training": (
        lambda p: files.write(_dropped(), p), "holds Dropout; export it in evaluation mode",
    ),
    "zip": (lambda p: zip_of(p, readme=b"hello"), "is a zip archive but not TorchScript"),
    "undeclared": (
        lambda p: files.write_script(files.Affine(), p),
        "TorchScript does not keep dtypes and shapes (forward takes image, scale)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_gets_one_sentence(
    empty_repository: Repository, tmp_path: Path, case: str
) -> None:
    make, said = BAD_FILES[case]
    directory = tmp_path / "given"
    directory.mkdir()
    path = make(directory / "model.onnx")
    result = add(empty_repository, path, "--name", "bad")
    assert result.status == 1
    assert said in result.error
    assert result.error.startswith(str(path))
    assert "; " in result.error, "there is no remedy"
    assert result.stderr.count("\n") == 1
    assert list(empty_repository.root.iterdir()) == []
