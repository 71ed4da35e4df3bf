"""A plain function as a step: its arguments are the inputs, what it returns the outputs.

```python
@python_step(
    inputs=[tensor("AUDIO", "FP32", -1)],
    outputs=[tensor("MEL", "FP32", 80, -1)],
    requirements=["scipy"],
)
def mel(AUDIO):
    ...
```

`mel` stays a function that can be called and tested. Publishing it makes a Python model whose
version holds the function's module, and everything of the user's own that it imports.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ensembles.own_code import own_code, require_declared
from ensembles.pipeline import PythonModel
from ensembles.step_trial import try_step
from trimaran.repository.dtypes import TensorSpec
from trimaran.served.step_calls import (
    FILE_NAME,
    OWN_CODE,
    REQUIREMENTS,
    Declared,
    StepTensor,
    call_step,
)
from trimaran.system.errors import UsageError

__all__ = ["PythonStep", "python_step"]

_ENTRY = "trimaran.served.step_model"


@dataclass(frozen=True)
class PythonStep:
    """A function with what it declares; calling it calls the function."""

    function: Callable[..., Any]
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    batched: bool = False
    requirements: Sequence[str] = ()
    example: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The function's."""
        return self.function.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns."""
        return self.function(*args, **kwargs)

    def answer(self, **arrays: Any) -> dict[str, np.ndarray]:
        """The answers to a batch as a server gives them: arrays with the batch axis first.

        Raises `RefusedError` for rows that the function refuses by `ValueError`, and `FaultError`
        where its answers are not what it declares.
        """
        given = {name: np.asarray(array) for name, array in arrays.items()}
        return call_step(self.declared(), self.function, given)

    def declared(self) -> Declared:
        """What is written into a version."""
        sides = (
            tuple(
                StepTensor(spec.name, str(spec.dtype.numpy), spec.dims, spec.optional)
                for spec in side
            )
            for side in (self.inputs, self.outputs)
        )
        return Declared(self.function.__module__, self.name, self.batched, *sides)

    def model(self, name: str | None = None, *, max_batch_size: int = 32) -> PythonModel:
        """The Python model of this step, under the function's name by default.

        Raises `TrimaranError` where the function's code cannot travel with it.
        """
        name = name or self.name
        declared = self.declared()
        code = own_code(declared.module, _folder(self.function), self.name)
        require_declared(self.name, code, self.requirements)
        own = {**code.files, **self._data()}
        modules = {f"{OWN_CODE}/{path}": content for path, content in own.items()}
        for package, stand_in in code.stand_ins().items():
            # A version has a package `trimaran` already, of which this becomes the beginning.
            inside = package if package == "trimaran" else f"{OWN_CODE}/{package}"
            modules[f"{inside}/__init__.py"] = stand_in
        return PythonModel(
            name=name,
            inputs=self.inputs,
            outputs=self.outputs,
            entry=_ENTRY,
            files={
                FILE_NAME: declared.to_json().encode(),
                REQUIREMENTS: json.dumps(list(self.requirements)).encode(),
            },
            modules=modules,
            max_batch_size=max_batch_size,
            trial=functools.partial(
                try_step,
                self.name,
                declared,
                self.function,
                self.inputs,
                self.example,
                self.requirements,
            ),
        )

    def _data(self) -> dict[str, bytes]:
        """The files that the function reads, by path below the folder of its code."""
        folder = _folder(self.function)
        module = Path(inspect.getfile(self.function)).resolve().parent
        found = {}
        for name in self.files:
            path = (module / name).resolve()
            if not path.is_relative_to(folder):
                raise UsageError(
                    f"the step {self.name}: the file {name!r} lies outside of {folder}, and only "
                    "what is beside the step travels with it; move it there"
                )
            try:
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
            except OSError as error:
                raise UsageError(
                    f"the step {self.name}: the file {path} cannot be read: {error.strerror}"
                ) from error
        return found


def python_step(
    *,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    batched: bool = False,
    requirements: Sequence[str] = (),
    example: Mapping[str, Any] | None = None,
    files: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], PythonStep]:
    """Make a step of a function, whose parameters are named as its inputs.

    The function takes NumPy arrays of one row, without the batch axis, and with `batched` those of
    a whole batch. It returns an array, or several as a tuple in the order of `outputs` or as a
    mapping by name; BYTES are arrays of `bytes`, and may be returned as `str`. A `ValueError` that
    it raises is the client's fault, and its message is the answer to that request.

    `requirements` are the packages that the function's code imports, as for pip; NumPy need not be
    named. `example` has one row for each input, on which the step is tried when it is published;
    without it rows are made from the types. `files` are data that the function reads, by path from
    its module's folder; they lie beside the module wherever it runs.

    Raises `UsageError` for a function that cannot travel.
    """

    def decorated(function: Callable[..., Any]) -> PythonStep:
        step = PythonStep(
            function,
            tuple(inputs),
            tuple(outputs),
            batched,
            tuple(requirements),
            example or {},
            tuple(files),
        )
        _check(step)
        return step

    return decorated


def _check(step: PythonStep) -> None:
    function, name = step.function, getattr(step.function, "__name__", "?")
    if not inspect.isfunction(function) or name == "<lambda>":
        raise UsageError("a step is a function with a name; write it with def, not as a lambda")
    if function.__closure__ or function.__qualname__ != name:
        raise UsageError(
            f"the step {name} is defined inside {function.__qualname__.rpartition('.')[0]}, so its "
            "code cannot travel alone; define it at the top of its module"
        )
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise UsageError(f"the step {name} is async or a generator; write a plain function")
    if not step.inputs or not step.outputs:
        raise UsageError(f"the step {name} needs an input and an output at least")
    parameters = inspect.signature(function).parameters.values()
    takes = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    given = [spec.name for spec in step.inputs]
    needed = [p.name for p in parameters if p.name in takes and p.default is p.empty]
    optional = [spec.name for spec in step.inputs if spec.optional]
    strange = sorted({*given} - {*takes}) or sorted({*needed} - {*given})
    if strange:
        raise UsageError(
            f"the step {name} takes {', '.join(takes) or 'nothing'}, and declares the inputs "
            f"{', '.join(given)}; name its parameters as its inputs"
        )
    missing = [each for each in optional if each in needed]
    if missing:
        raise UsageError(
            f"the step {name} has the optional input {missing[0]}; give its parameter a default, "
            "which stands for an absent one"
        )
    unnamed = [spec.name for spec in (*step.inputs, *step.outputs) if spec.dtype.numpy is None]
    if unnamed:
        raise UsageError(f"the step {name}: {unnamed[0]} is BF16, which NumPy lacks; use FP32")


def _folder(function: Callable[..., Any]) -> Path:
    """The folder below which the function's module is found by its name."""
    module = sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None)
    if function.__module__ == "__main__" or file is None:
        raise UsageError(
            f"the step {function.__name__} is not in a file that can be imported; move it into one"
        )
    depth = len(function.__module__.split("."))
    path = Path(file).resolve()
    if path.name == "__init__.py":
        depth += 1
    return path.parents[depth - 1]
