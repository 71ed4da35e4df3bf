"""How the function of a step is called: rows in, rows of the declared types and shapes out.

The same code calls it in Triton and in any other process, so both answer alike.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trimaran.served.refusal import FaultError, RefusedError

__all__ = [
    "FILE_NAME",
    "OWN_CODE",
    "REQUIREMENTS",
    "Declared",
    "StepTensor",
    "call_step",
    "load_step",
    "unmet",
]

FILE_NAME = "step.json"
REQUIREMENTS = "requirements.json"
"""The packages that the function needs, as for pip, in a version's directory."""
OWN_CODE = "own"
"""The directory of a version that holds the user's modules."""

Arrays = Mapping[str, npt.NDArray[Any]]
Function = Callable[..., Any]


@dataclass(frozen=True)
class StepTensor:
    """A tensor without its batch axis; `dtype` is NumPy's name, `object` for BYTES."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True)
class Declared:
    """What a step is: its function, by module and name, and its tensors.

    `batched` says whether the function takes a whole batch, with the batch axis first, or one row
    without it.
    """

    module: str
    function: str
    batched: bool
    inputs: tuple[StepTensor, ...]
    outputs: tuple[StepTensor, ...]

    def to_json(self) -> str:
        """The content of `step.json`."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, directory: Path) -> Declared:
        """Of a version's directory."""
        found = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
        for side in ("inputs", "outputs"):
            found[side] = tuple(
                StepTensor(**{**item, "dims": tuple(item["dims"])}) for item in found[side]
            )
        return cls(**found)


def unmet(requirement: str) -> str | None:
    """Why a requirement, such as `scipy>=1.15`, is not met in this environment."""
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{requirement} is not installed"
    try:
        from packaging.requirements import Requirement
    except ImportError:  # a server without it: the package is there, whatever its version
        return None
    met = Requirement(requirement).specifier.contains(version, prereleases=True)
    return None if met else f"{requirement} is required, and {name} {version} is installed"


def load_step(directory: Path) -> tuple[Declared, Function]:
    """A version's step and its function, from the code in that version.

    Raises `FaultError` where a package is missing that the step requires.
    """
    declared = Declared.read(directory)
    required = json.loads((directory / REQUIREMENTS).read_text(encoding="utf-8"))
    problems = [problem for problem in map(unmet, required) if problem]
    if problems:
        raise FaultError(f"{declared.function} cannot run here: {'; '.join(problems)}")
    sys.path.insert(0, str(directory / OWN_CODE))
    function: Function = getattr(importlib.import_module(declared.module), declared.function)
    return declared, function


def call_step(declared: Declared, function: Function, given: Arrays) -> dict[str, npt.NDArray[Any]]:
    """The answers to a batch, whose arrays have the batch axis first; optional ones may be absent.

    Raises `RefusedError` where the function raises `ValueError`, so that a row that it cannot use
    is the client's fault, and `FaultError` where it answers something else than is declared.
    """
    rows = len(next(iter(given.values())))
    if declared.batched:
        answered = _called(declared, function, given)
        return {
            tensor.name: _array(declared, tensor, value, (rows,))
            for tensor, value in _by_name(declared, answered)
        }
    alone = [
        {
            tensor.name: _array(declared, tensor, value, ())
            for tensor, value in _by_name(declared, _called(declared, function, row))
        }
        for row in ({name: array[place] for name, array in given.items()} for place in range(rows))
    ]
    return {tensor.name: _stacked(declared, tensor.name, alone) for tensor in declared.outputs}


def _called(declared: Declared, function: Function, given: Arrays) -> Any:
    try:
        return function(**given)
    except RefusedError:
        raise
    except ValueError as error:
        raise RefusedError(f"{declared.function}: {error}") from error


def _by_name(declared: Declared, answered: Any) -> list[tuple[StepTensor, Any]]:
    """Each output with its value, which a mapping gives by name and a tuple by order."""
    outputs = declared.outputs
    names = [tensor.name for tensor in outputs]
    if isinstance(answered, Mapping):
        if sorted(answered) != sorted(names):
            raise _fault(declared, f"answers {_listed(answered)}, and {_listed(names)} is declared")
        return [(tensor, answered[tensor.name]) for tensor in outputs]
    values = answered if isinstance(answered, tuple) else (answered,)
    if len(values) != len(outputs):
        raise _fault(declared, f"answers {len(values)} values, and {_listed(names)} is declared")
    return list(zip(outputs, values, strict=True))


def _array(
    declared: Declared, tensor: StepTensor, value: Any, batch: tuple[int, ...]
) -> npt.NDArray[Any]:
    """A value as its declared type and shape. Raises `FaultError`."""
    wanted = np.dtype(tensor.dtype)
    try:
        array = _bytes(value) if wanted == np.object_ else np.asarray(value)
    except (TypeError, ValueError) as error:
        raise _fault(declared, f"{tensor.name} is no array: {error}") from error
    if wanted != np.object_ and not np.can_cast(array.dtype, wanted, "same_kind"):
        raise _fault(declared, f"{tensor.name} is {array.dtype}, and {wanted} is declared")
    dims = (*batch, *tensor.dims)
    fits = array.ndim == len(dims) and all(
        length in (-1, found) for length, found in zip(dims, array.shape, strict=True)
    )
    if not fits:
        raise _fault(
            declared, f"{tensor.name} has shape {list(array.shape)}, and {list(dims)} is declared"
        )
    return array if array.dtype == wanted else array.astype(wanted)


def _bytes(value: Any) -> npt.NDArray[Any]:
    """Text and bytes as an array of bytes."""
    array = np.asarray(value, dtype=np.object_)
    plain = [item.encode() if isinstance(item, str) else item for item in array.reshape(-1)]
    wrong = next((item for item in plain if not isinstance(item, bytes)), None)
    if wrong is not None:
        raise TypeError(f"it holds {type(wrong).__name__}, and BYTES are str or bytes")
    made = np.empty(len(plain), dtype=np.object_)
    made[:] = plain
    return made.reshape(array.shape)


def _stacked(
    declared: Declared, name: str, alone: Sequence[Mapping[str, npt.NDArray[Any]]]
) -> npt.NDArray[Any]:
    shapes = {row[name].shape for row in alone}
    if len(shapes) > 1:
        few = " and ".join(str(list(shape)) for shape in sorted(shapes)[:2])
        raise RefusedError(
            f"{declared.function}: the rows of one request answer {name} in the shapes {few}; send "
            "them in separate requests"
        )
    return np.stack([row[name] for row in alone])


def _fault(declared: Declared, what: str) -> FaultError:
    return FaultError(
        f"the step {declared.function} {what}; correct the function or its declaration"
    )


def _listed(names: Any) -> str:
    return ", ".join(map(str, names)) or "nothing"
