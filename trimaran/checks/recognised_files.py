"""Whether a model file is of the kind that its backend loads, without opening any pickle."""

from __future__ import annotations

from pathlib import Path

from trimaran.checks.facts import FileProblem, Package
from trimaran.repository.model_files.aoti_package import (
    DEVICE,
    FIT_REMEDY,
    find_misfit,
    generated_source,
    read_package,
    this_machine,
)
from trimaran.repository.model_files.call_specification import (
    CALL_REMEDY,
    find_specifications,
    input_names,
    result_names,
)
from trimaran.repository.model_files.recognition import Kind, recognise
from trimaran.repository.model_files.torchscript_archive import require_torchscript
from trimaran.system.errors import ArtifactError

__all__ = ["onnx_impostor", "plan_problem", "read_contents", "torchscript_problem"]

_SAVE = "save the model with torch.jit.save, or use 'trimaran export'"
_COMPILE = "use 'trimaran export --format aoti', or the platform of the file"
_IS = {
    Kind.TORCHSCRIPT: ("is a zip archive, as TorchScript is", "name it model.pt"),
    Kind.AOTI: (
        "is a package of AOTInductor",
        'name it model.pt2, with backend pytorch and platform "torch_aoti"',
    ),
    Kind.PLAN: ("is a TensorRT plan", "name it model.plan, with backend tensorrt"),
}


def torchscript_problem(path: Path) -> FileProblem | None:
    """Why the pytorch backend cannot load a file, or `None`."""
    problem = _unlike(path, Kind.TORCHSCRIPT)
    if problem is not None:
        return problem
    try:
        require_torchscript(path, str(path))
    except ArtifactError as refused:
        return _problem_of(refused, path)
    return None


def read_contents(path: Path) -> Package | FileProblem:
    """What a package of AOTInductor holds, or why a file is none that fits this machine."""
    problem = _unlike(path, Kind.AOTI)
    if problem is not None:
        return problem
    try:
        facts = read_package(path, str(path))
    except ArtifactError as refused:
        return _problem_of(refused, path)
    for_gpu = facts[DEVICE] == "cuda"
    misfit = find_misfit(facts, this_machine(with_gpu=for_gpu))
    if misfit:
        return FileProblem(misfit, FIT_REMEDY)
    call = find_specifications(generated_source(path))
    if call is None:
        return Package(facts[DEVICE])
    try:
        return Package(facts[DEVICE], tuple(input_names(call[0])), tuple(result_names(call[1])))
    except ValueError as refused:
        return FileProblem(str(refused), CALL_REMEDY)


def plan_problem(path: Path) -> FileProblem | None:
    """Why a file is no TensorRT plan for certain, or `None`: not every plan has a mark."""
    return _unlike(path, Kind.PLAN, Kind.ONNX)


def onnx_impostor(path: Path) -> FileProblem | None:
    """Another kind that a file shows to be, or `None` where nothing speaks against ONNX."""
    return _unlike(path, Kind.ONNX)


def _unlike(path: Path, *wanted: Kind) -> FileProblem | None:
    try:
        kind = recognise(path)
    except ArtifactError as refused:
        return _problem_of(refused, path)
    except OSError as refused:
        return FileProblem(f"cannot be read: {refused.strerror}", "give the server the right to")
    if kind in wanted:
        return None
    if Kind.AOTI in wanted:
        return FileProblem(
            "is no package of AOTInductor, which torch_aoti loads, or it is cut short", _COMPILE
        )
    return FileProblem(*_IS.get(kind, ("is not TorchScript, which is a zip archive", _SAVE)))


def _problem_of(refused: ArtifactError, path: Path) -> FileProblem:
    found, _, remedy = str(refused).removeprefix(f"{path}: ").rpartition("; ")
    return FileProblem(found or remedy, remedy if found else _SAVE)
