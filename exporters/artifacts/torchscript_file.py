"""An existing TorchScript file: opened only when its archive is one, and described by running it.

TorchScript keeps the names of `forward`'s arguments and nothing of their shapes, so the user
declares the inputs, and the outputs are found. Triton's backend takes tensors by position and
wants that in their names: `image` is served as `image__0`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from exporters.artifacts.artifact import (
    Artifact,
    Axis,
    FileTensor,
    NoAnswerError,
    reason,
)
from exporters.artifacts.declared import Declared
from exporters.artifacts.torchscript_graph import (
    devices,
    mixing,
    random_operators,
    trained,
    unservable_result,
)
from exporters.artifacts.torchscript_outputs import BATCH, SERVED, find_outputs
from exporters.calling import unpassable_argument
from exporters.parity import Arrays, Run, UnservableError
from exporters.torch_state import quiet
from trimaran.repository import target
from trimaran.repository.model_files.torchscript_archive import require_torchscript
from trimaran.system.errors import ArtifactError
from trimaran.system.files import sha256_of

__all__ = ["FILE_NAME", "RESULTS", "caller", "take", "takes_dictionary"]

FILE_NAME = "model.pt"

_NUMBERED = re.compile(r"__\d")
_SIGNATURE = "--input name:dtype[shape], such as --input image:FP32[-1,3,224,224]"

RESULTS = (
    "a tensor, a list of text, or a tuple of these; wrap the model in a module whose forward "
    "returns a tuple of tensors instead, and script or trace that"
)
"""What the backend takes, and the remedy where `forward` returns something else."""


def take(
    source: Path,
    staged: Path,
    declared: Sequence[Declared],
    output_names: Sequence[Declared],
    sample: Path | None,
) -> Artifact:
    """Copy a TorchScript file into the directory `staged` as `model.pt`, and open it there.

    `sample` is an `.npz` to run it on instead of made-up inputs. Raises `ArtifactError` for
    anything that cannot be served.
    """
    path = staged / FILE_NAME
    shutil.copyfile(source, path)
    version = require_torchscript(path, str(source))
    module = _opened(path, source)
    arguments = _arguments(module, source)
    _require_result(module, source)
    _require_evaluation(module, source)
    inputs = _inputs(arguments, declared, source)
    run = caller(module, inputs)
    try:
        outputs = find_outputs(run, inputs, output_names, source, sample)
    except NoAnswerError as error:
        raise _device_error(module, source) or error from error
    names = [tensor.name for tensor in outputs]
    return Artifact(
        format="torchscript",
        backend="pytorch",
        file_name=FILE_NAME,
        libraries=("torch",),
        inputs=inputs,
        outputs=outputs,
        run=lambda arrays: dict(zip(names, run(arrays).values(), strict=True)),
        target={"container": target.CONTAINER, "file_version": version},
        source={"file": str(source.resolve()), "sha256": sha256_of(path)},
        served_names={
            **_served("input", inputs, source, by_name=takes_dictionary(arguments)),
            **_served("output", outputs, source),
        },
        random=random_operators(module),
        mixing=mixing(module),
    )


def _opened(path: Path, source: Path) -> Any:
    try:
        with quiet():
            module = torch.jit.load(path, map_location="cpu")
    except Exception as error:
        raise ArtifactError(
            f"{source}: cannot be loaded by torch {torch.__version__}: {reason(error)}; save it "
            "again with torch.jit.save, as it was before torch.jit.optimize_for_inference"
        ) from error
    if not hasattr(module, "forward"):
        raise ArtifactError(
            f"{source}: has no method forward, which Triton's pytorch backend calls; wrap the "
            "model in a module whose forward calls what it has, and script or trace that"
        )
    return module


def _require_result(module: Any, source: Path) -> None:
    result = unservable_result(module)
    if result is not None:
        raise ArtifactError(
            f"{source}: forward returns {result}, and Triton's pytorch backend takes {RESULTS}"
        )


def _require_evaluation(module: Any, source: Path) -> None:
    found = trained(module)
    if found:
        raise ArtifactError(
            f"{source}: was saved in training mode ({', '.join(found)} as in training), so it "
            "answers by chance or by the rows of a batch; call .eval() on the module, script or "
            "trace it again, and save that"
        )


def _device_error(module: Any, source: Path) -> ArtifactError | None:
    """Why a module whose code names a GPU fails: loading moves weights, and not constants."""
    named = devices(module)
    if not named:
        return None
    return ArtifactError(
        f"{source}: fails, and its code names the GPU {', '.join(named)}, as a trace made on one "
        "does, which map_location does not change; move the module and its example to the CPU "
        "with .cpu(), take devices from the inputs in forward, and script or trace it again"
    )


def _arguments(module: Any, source: Path) -> list[Any]:
    schema = module.forward.schema
    arguments = list(schema.arguments[1:])
    if takes_dictionary(arguments):
        return arguments
    strange = unpassable_argument(schema, passed=("Tensor", "List[str]"))
    if strange is not None:
        fixed = f" and fixes {strange.name}" if strange.has_default_value() else ""
        raise ArtifactError(
            f"{source}: argument {strange.name!r} of forward is {strange.type}, and Triton's "
            "pytorch backend passes tensors, lists of text, or one Dict[str, Tensor]; wrap the "
            f"model in a module whose forward takes these alone{fixed}, and script that"
        )
    if not arguments:
        raise ArtifactError(
            f"{source}: forward takes no arguments, and a request needs an input; let it take one"
        )
    return arguments


def _inputs(
    arguments: Sequence[Any], declared: Sequence[Declared], source: Path
) -> list[FileTensor]:
    """The declared inputs in the order of `forward`'s arguments."""
    names = [argument.name for argument in arguments]
    takes = f"forward takes {', '.join(names)}"
    if not declared:
        raise ArtifactError(
            f"{source}: TorchScript does not keep dtypes and shapes ({takes}); give each input by "
            f"{_SIGNATURE}"
        )
    ordered = list(declared)
    if not takes_dictionary(arguments):
        if len(declared) != len(names):
            raise ArtifactError(
                f"{source}: {takes}, and {len(declared)} inputs were given; give each by "
                f"{_SIGNATURE}"
            )
        given = {item.name: item for item in declared}
        known = given.keys() & set(names)
        if known and len(known) < len(names):
            strange = ", ".join(sorted(given.keys() - known))
            raise ArtifactError(f"{source}: {takes}, and not {strange}; give each by its name")
        ordered = (
            [given[name] for name in names]
            if known
            else sorted(ordered, key=lambda item: _position(item.name))
        )
    return _typed(ordered, source)


def _position(name: str) -> int:
    """The position in a name such as `image__0`, as the backend reads it; -1 for none."""
    number = name.partition("__")[2]
    return int(number) if number.isdecimal() else -1


def _typed(declared: Sequence[Declared], source: Path) -> list[FileTensor]:
    batched = all((item.shape or ())[:1] == (-1,) for item in declared)
    tensors = []
    for item in declared:
        if item.dtype is None or item.shape is None or item.dtype.triton not in SERVED:
            raise ArtifactError(
                f"{source}: input {item} has a dtype that Triton's pytorch backend cannot carry; "
                f"choose from {', '.join(sorted(SERVED))}"
            )
        if item.dtype.triton == "BYTES" and len(item.shape) != 1:
            raise ArtifactError(
                f"{source}: input {item} is text, which the pytorch backend takes as a list; give "
                "it one axis"
            )
        if not item.shape:
            raise ArtifactError(
                f"{source}: input {item} is a scalar, which Triton cannot declare; let forward "
                "take one axis"
            )
        axes: list[Axis] = [None if dim == -1 else dim for dim in item.shape]
        tensors.append(
            FileTensor(item.name, item.dtype, (BATCH, *axes[1:]) if batched else tuple(axes))
        )
    return tensors


def _served(
    kind: str, tensors: Sequence[FileTensor], source: Path, *, by_name: bool = False
) -> dict[str, str]:
    """The names that Triton's backend wants, with the position of each tensor.

    Names that have it already are kept, and so are those in a dictionary, which are its keys.
    """
    names = [tensor.name for tensor in tensors]
    if by_name:
        return {name: name for name in names}
    wanted = {name: f"{name}__{position}" for position, name in enumerate(names)}
    if not any(_NUMBERED.search(name) for name in names):
        return wanted
    if [_position(name) for name in names] == list(range(len(names))):
        return {name: name for name in names}
    raise ArtifactError(
        f"{source}: the {kind}s are named {', '.join(names)}, and the pytorch backend takes the "
        f"number after '__' for a position; number all from 0 in forward's order, or none"
    )


def takes_dictionary(arguments: Sequence[Any]) -> bool:
    return len(arguments) == 1 and str(arguments[0].type) == "Dict[str, Tensor]"


def caller(module: Any, inputs: Sequence[FileTensor]) -> Run:
    """`module` on arrays by name; its results by their position as text, `0` first."""
    as_dictionary = takes_dictionary(module.forward.schema.arguments[1:])

    def run(arrays: Arrays) -> Arrays:
        values = {tensor.name: _value(arrays[tensor.name]) for tensor in inputs}
        with quiet(), torch.inference_mode():
            result = module(values) if as_dictionary else module(*values.values())
        is_tuple = isinstance(result, tuple)
        results = result if is_tuple else (result,)
        return {str(i): _array(value, nested=is_tuple) for i, value in enumerate(results)}

    return run


def _value(array: np.ndarray) -> Any:
    return array.tolist() if array.dtype == object else torch.tensor(array)


def _array(value: Any, *, nested: bool) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        if value.dtype == torch.bfloat16 or value.is_complex() or value.is_sparse:
            raise UnservableError(
                f"forward returns {value.dtype}{' as sparse' if value.is_sparse else ''}, which "
                "NumPy and Triton cannot carry; convert it in forward"
            )
        return value.numpy()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return np.array(value, dtype=object)
    raise UnservableError(
        f"forward returns a {type(value).__name__}{' in a tuple' if nested else ''}, and Triton's "
        f"pytorch backend takes {RESULTS}"
    )
