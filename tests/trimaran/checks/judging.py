"""A repository of given files, and what is found in it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from onnx import TensorProto, helper

from trimaran.checks.api import check
from trimaran.checks.finding import Report
from trimaran.repository.repository import Repository

Found = tuple[str, str, str, str]
"""Severity, file, field, and the sentence."""

CONFIG = "m/config.pbtxt"
X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }'
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }'
PYTHON = f'backend: "python" max_batch_size: 8 {X} {Y} '
"""A configuration of a sound model."""
ONNX = PYTHON.replace("python", "onnxruntime")
BY_FILE = PYTHON.replace('backend: "python"', "")
"""One whose backend the file of the version shows."""
SOURCE = "class TritonPythonModel:\n    def execute(self, requests):\n        return []\n"


def judged(root: Path, files: Mapping[str, str | bytes]) -> Report:
    """The report on a repository of these files; a path that ends in a slash is a directory."""
    repository = Repository.create(root / "models")
    for name, content in files.items():
        path = repository.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return check(repository)


def found(report: Report) -> list[Found]:
    """All findings but the notes, as plain tuples."""
    return [
        (str(finding.severity), finding.file, finding.field, finding.sentence)
        for finding in report.findings
        if finding.severity != "note"
    ]


def relu(width: int = 4, batch: str | int = "batch", name: str = "x") -> bytes:
    """An ONNX model from `name` to `y`, both `[batch, width]`."""
    x = helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, width])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, width])
    graph = helper.make_graph([helper.make_node("Relu", [name], ["y"])], "g", [x], [y])
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    ).SerializeToString()
    return content


def torchscript(*names: str) -> bytes:
    """A zip archive of these entries, or of those of TorchScript."""
    entries = names or ("data.pkl", "constants.pkl", "version", "code/__torch__.py")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in entries:
            archive.writestr(f"model/{name}", "10" if name == "version" else "x" * 99)
    return file.getvalue()
