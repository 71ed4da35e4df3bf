"""The model files of the `onnx` wheel's backend tests, and its tests of operators as model files.

ONNX Runtime in this process computes the expected answers, since the question is whether serving a
file changes them. The wheel makes tests of operators in memory, for its newest opset. Here they are
declared for the newest that the target container reads; ONNX Runtime refuses those whose operator
is not in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime

from exporters.artifacts.artifact import reason
from trimaran.repository import target

__all__ = ["Answered", "Case", "compute", "find_cases", "spread", "write_operators"]

Arrays = Mapping[str, np.ndarray]

_NO_LOG = 4
_FOLDERS = ("light", "simple", "pytorch-converted", "pytorch-operator")


@dataclass(frozen=True)
class Case:
    """One model file; `data` are the directories of its recorded inputs, if any."""

    name: str
    path: Path
    data: tuple[Path, ...]


@dataclass(frozen=True)
class Answered:
    """What ONNX Runtime computes in this process: pairs of inputs and outputs."""

    pairs: Sequence[tuple[Arrays, Arrays]]


def find_cases() -> list[Case]:
    """Every model file in the four folders, named by folder and test."""
    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    cases = []
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*.onnx")):
            data = tuple(sorted(path.parent.glob("test_data_set_*")))
            stem = path.parent.name if path.stem == "model" else path.stem
            cases.append(Case(f"{folder}.{stem}", path, data))
    return cases


def spread(cases: Sequence[Case], limit: int | None) -> list[Case]:
    """`limit` of the cases, taken at even distances, or all."""
    if limit is None or limit >= len(cases):
        return list(cases)
    return [cases[index * len(cases) // limit] for index in range(limit)]


def compute(case: Case) -> Answered | str:
    """What the model answers to its recorded inputs, or to made-up ones; or why it does not."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _NO_LOG
    try:
        session = onnxruntime.InferenceSession(
            str(case.path), options, providers=["CPUExecutionProvider"]
        )
        given = [_recorded(session, path) for path in case.data] or [_made_up(session)]
        names = [item.name for item in session.get_outputs()]
        first, again = ([session.run(names, inputs) for inputs in given] for _ in range(2))
    except Exception as error:  # ONNX Runtime raises its own types
        return reason(error)
    if not _equal(first, again):
        return "it answers at random, another value each time"
    answers = [dict(zip(names, values, strict=True)) for values in first]
    return Answered(list(zip(given, answers, strict=True)))


def _equal(left: Any, right: Any) -> bool:
    """Whether nested lists of arrays are equal to the byte."""
    if isinstance(left, list):
        return all(_equal(*pair) for pair in zip(left, right, strict=True))
    if isinstance(left, np.ndarray) and left.dtype != object:
        return left.tobytes() == right.tobytes()
    return bool(np.array_equal(left, right))


def _recorded(session: Any, directory: Path) -> dict[str, np.ndarray]:
    inputs = {}
    for index, item in enumerate(session.get_inputs()):
        if not item.type.startswith("tensor("):
            raise ValueError(f"input {item.name!r} is {item.type}, which Triton does not have")
        content = (directory / f"input_{index}.pb").read_bytes()
        inputs[item.name] = onnx.numpy_helper.to_array(onnx.TensorProto.FromString(content))
    return inputs


def _made_up(session: Any) -> dict[str, np.ndarray]:
    """Random numbers for the networks in `light`, which come without inputs."""
    generator = np.random.default_rng(0)
    return {
        item.name: generator.random(item.shape, dtype=np.float32) for item in session.get_inputs()
    }


def write_operators(root: Path) -> list[Case]:
    """Write every operator test below `root`, and give its cases by name.

    Inputs that are no tensors (sequences, absent optionals) are left out.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tests divide by zero on purpose
        from onnx.backend.test.case.node import collect_testcases

        found = [test for test in collect_testcases(None) if test.model is not None]
    return [_write(test, root / test.name) for test in sorted(found, key=lambda test: test.name)]


def _write(test: Any, directory: Path) -> Case:
    model = test.model
    for item in model.opset_import:
        if item.domain in ("", "ai.onnx"):
            item.version = min(item.version, target.READ_OPSET)
    model.ir_version = min(model.ir_version, target.READ_IR_VERSION)
    directory.mkdir(parents=True)
    path = directory / "model.onnx"
    path.write_bytes(model.SerializeToString())
    sets = [_write_inputs(inputs, directory, i) for i, (inputs, _) in enumerate(test.data_sets)]
    return Case(f"operators.{test.name}", path, tuple(sets))


def _write_inputs(inputs: Sequence[Any], directory: Path, number: int) -> Path:
    folder = directory / f"test_data_set_{number}"
    folder.mkdir()
    for index, value in enumerate(inputs):
        if isinstance(value, onnx.TensorProto):
            tensor = value
        elif isinstance(value, np.ndarray | np.generic):
            tensor = onnx.numpy_helper.from_array(np.asarray(value))
        else:
            continue
        (folder / f"input_{index}.pb").write_bytes(tensor.SerializeToString())
    return folder
