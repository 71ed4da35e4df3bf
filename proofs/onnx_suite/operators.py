"""ONNX's tests of single operators, as model files: every type, rank and corner that they have.

The wheel makes them in memory, for its newest opset. Here they are declared for the newest that
the target container reads; where an operator is not in it, ONNX Runtime refuses the file and it
falls out.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper

from proofs.onnx_suite.cases import Case
from trimaran.repository import target

__all__ = ["write_operators"]


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
