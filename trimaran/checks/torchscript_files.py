"""A `.pt` file as a rule needs it: whether it is TorchScript, told without opening its pickles."""

from __future__ import annotations

from pathlib import Path

from trimaran.checks.facts import FileProblem
from trimaran.errors import ArtifactError
from trimaran.model_files.recognition import Kind, recognise
from trimaran.model_files.torchscript_archive import require_torchscript

__all__ = ["torchscript_problem"]

_REMEDY = "save the model with torch.jit.save, or use 'trimaran export'"


def torchscript_problem(path: Path) -> FileProblem | None:
    """Why the pytorch backend cannot load a file, or `None`."""
    try:
        kind = recognise(path)
        if kind is Kind.TORCHSCRIPT:
            require_torchscript(path, str(path))
            return None
    except ArtifactError as problem:
        found, _, remedy = str(problem).removeprefix(f"{path}: ").rpartition("; ")
        return FileProblem(found or remedy, remedy if found else _REMEDY)
    except OSError as problem:
        return FileProblem(f"cannot be read: {problem.strerror}", "give the server the right to")
    if kind is Kind.PLAN:
        return FileProblem("is a TensorRT plan", "name it model.plan, with backend tensorrt")
    return FileProblem("is no TorchScript, which is a zip archive", _REMEDY)
