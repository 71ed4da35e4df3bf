"""An existing package of AOTInductor: native code, opened only for those who trust it.

The call specification has the number of tensors and how they nest. Their types and shapes are in
the checks of inputs in the generated source, which torch packs beside the code; where that is
missing, the user declares them. The outputs are found by running it, in a process of its own.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from exporters.artifacts.artifact import Artifact, Axis, FileTensor, reason
from exporters.artifacts.declared import Declared, narrowed
from exporters.artifacts.torchscript_outputs import BATCH, SERVED, find_outputs
from exporters.formats.clean_process import call_specification, load_package
from exporters.parity import ArtifactRuntimeError
from trimaran.checks.backends import AOTI
from trimaran.repository import dtypes, target
from trimaran.repository.dtypes import DType
from trimaran.repository.model_files.aoti_package import (
    DEVICE,
    FIT_REMEDY,
    TORCH,
    find_misfit,
    generated_source,
    made_with,
    read_package,
    this_machine,
)
from trimaran.repository.model_files.call_specification import (
    CALL_REMEDY,
    input_names,
    result_names,
)
from trimaran.system.errors import ArtifactError
from trimaran.system.files import sha256_of

__all__ = ["FILE_NAME", "described_inputs", "take"]

FILE_NAME = "model.pt2"

_TYPE = re.compile(r"(\w+)_expected_dtype = aoti_torch_dtype_(\w+)\(\)")
_FIXED = re.compile(r"if \((\d+)L? != (\w+)_(size|stride)\[(\d+)\]\)")


def take(
    source: Path,
    staged: Path,
    declared: Sequence[Declared],
    output_names: Sequence[Declared],
    sample: Path | None,
    *,
    trust: bool,
) -> Artifact:
    """Copy a package into the directory `staged` as `model.pt2`, and open it there.

    Raises `ArtifactError` for one that is not trusted, not sound, made for another machine, or
    cannot be served.
    """
    facts = read_package(source, str(source))
    if not trust:
        raise ArtifactError(
            f"{source}: is a package of AOTInductor, whose native code runs with your rights, here "
            "and in the server; add it with --trust if you know who made it"
        )
    misfit = find_misfit(facts, this_machine(with_gpu=facts[DEVICE] == "cuda"))
    if misfit:
        raise ArtifactError(f"{source}: {misfit}; {FIT_REMEDY}")
    path = staged / FILE_NAME
    shutil.copyfile(source, path)
    try:
        given, answered = call_specification(path, facts[DEVICE])
        names = [f"INPUT__{place}" for place in range(len(input_names(given)))]
        results = [str(place) for place in range(len(result_names(answered)))]
        inputs = _inputs(path, source, names, declared)
        run = load_package(path, names, results, facts[DEVICE], checked=TORCH in facts)
    except ArtifactRuntimeError as error:
        raise ArtifactError(f"{source}: cannot be loaded: {reason(error)}; {FIT_REMEDY}") from error
    except ValueError as error:
        raise ArtifactError(f"{source}: cannot be served: {error}; {CALL_REMEDY}") from error
    outputs = find_outputs(run, inputs, output_names, source, sample)
    found = [tensor.name for tensor in outputs]
    remark = "the package does not say with which torch it was compiled; serve it with that one"
    return Artifact(
        format="aoti",
        backend="pytorch",
        platform=AOTI,
        device=facts[DEVICE],
        file_name=FILE_NAME,
        libraries=("torch",),
        inputs=inputs,
        outputs=outputs,
        run=lambda arrays: dict(zip(found, run(arrays).values(), strict=True)),
        target={
            "container": target.CONTAINER,
            **made_with(facts),
        },
        source={"file": str(source.resolve()), "sha256": sha256_of(path)},
        served_names={name: f"OUTPUT__{place}" for place, name in enumerate(found)},
        remarks=() if TORCH in facts else (remark,),
    )


def _inputs(
    path: Path, source: Path, names: Sequence[str], declared: Sequence[Declared]
) -> list[FileTensor]:
    """The inputs by number, as the package's source describes them, or else as declared."""
    found = described_inputs(generated_source(path))
    if len(found) == len(names):
        tensors = [FileTensor(n, *tensor) for n, tensor in zip(names, found, strict=True)]
        tensors = narrowed(str(source), tensors, declared)
    elif found:
        raise ArtifactError(
            f"{source}: takes {len(names)} arguments, of which {len(found)} are tensors; compile a "
            "module whose forward takes tensors alone"
        )
    else:
        if {item.name for item in declared} != set(names):
            raise ArtifactError(
                f"{source}: does not describe its inputs, and takes {', '.join(names)}; give each "
                "by --input, such as --input INPUT__0:FP32[-1,3,224,224]"
            )
        tensors = [
            FileTensor(item.name, item.dtype, tuple(None if d == -1 else d for d in item.shape))
            for item in declared
            if item.dtype is not None and item.shape is not None
        ]
        tensors.sort(key=lambda tensor: names.index(tensor.name))
    for tensor in tensors:
        if tensor.dtype.triton not in SERVED or not tensor.axes:
            raise ArtifactError(
                f"{source}: input {tensor} cannot be carried by Triton's pytorch backend; let "
                "forward take a tensor of a common type with one axis or more"
            )
    if all(tensor.axes[0] is None for tensor in tensors):
        return [replace(tensor, axes=(BATCH, *tensor.axes[1:])) for tensor in tensors]
    return tensors


def described_inputs(source: str) -> list[tuple[DType, tuple[Axis, ...]]]:
    """The type and the axes of each input, from the checks in a package's source.

    An axis without a check is open. Nothing where the source checks a type that is unknown.
    """
    fixed: dict[str, dict[int, int]] = {}
    ranks: dict[str, int] = {}
    for value, name, what, axis in _FIXED.findall(source):
        ranks[name] = max(ranks.get(name, 0), int(axis) + 1)
        if what == "size":
            fixed.setdefault(name, {})[int(axis)] = int(value)
    found: list[tuple[DType, tuple[Axis, ...]]] = []
    for name, kind in _TYPE.findall(source):
        dtype = next((item for item in dtypes.DTYPES if item.torch == kind), None)
        if dtype is None:
            return []
        axes = tuple(fixed.get(name, {}).get(axis) for axis in range(ranks.get(name, 0)))
        found.append((dtype, axes))
    return found
