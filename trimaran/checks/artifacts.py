"""Rules for a version: the file that its backend loads, and its contents."""

from __future__ import annotations

from collections.abc import Iterable

from trimaran.checks.backends import (
    BACKENDS,
    attribute,
    backend_of,
    default_file,
    tensorflow_file,
)
from trimaran.checks.facts import FileProblem, ModelFacts, VersionFacts
from trimaran.checks.finding import Problems, error, warning
from trimaran.checks.graphs import check_graph
from trimaran.checks.packages import check_contents
from trimaran.checks.source_completion import check_completion
from trimaran.checks.versions import served_versions
from trimaran.repository.config import ModelConfig, is_ensemble

__all__ = ["artifact_name", "check_artifacts", "is_known"]


def artifact_name(config: ModelConfig, backend: str, entries: Iterable[str] = ()) -> str:
    """The file that a backend loads from a version directory; empty where there is none to name.

    `entries` are in the model's first version.
    """
    if config.default_model_filename:
        return config.default_model_filename
    if backend == "tensorflow":
        return tensorflow_file(config, entries)
    return default_file(config, backend)


def check_artifacts(facts: ModelFacts) -> Problems:
    """Versions without their file, or with one that Triton cannot load as configured."""
    config = facts.effective
    if is_ensemble(config) or facts.broken:
        return
    served = set(served_versions(config, facts.numbers))
    backend = attribute(config, facts.first_entries, facts.name)
    if not backend:
        if facts.versions and not config.platform:
            yield error(
                "backend",
                "no backend is named, and no file of the versions shows which it is",
                'name one, such as backend: "python"',
            )
        return
    if not backend_of(config) and not is_known(backend, facts):
        yield error(
            "backend",
            f"no backend is named, so the directory's name makes it {backend!r}, which is in none "
            "of NVIDIA's containers",
            'name one, such as backend: "python"',
        )
        return
    name = artifact_name(config, backend, facts.first_entries)
    for version in facts.versions:
        report = error if version.number in served else warning
        where = f"{version.number}/{name}"
        # ONNX Runtime and TensorFlow take a directory in place of a file.
        there = version.has(name) if backend != "python" else name in version.files
        if name and not there:
            field, loader, remedy = _cause_of_absence(config, backend)
            yield report(
                field, f"{where} is missing, which {loader} loads", remedy, str(version.number)
            )
        elif version.number in served:
            yield from _content(config, backend, version, name)


def _cause_of_absence(config: ModelConfig, backend: str) -> tuple[str, str, str]:
    """The field that decides which file is loaded, what loads it, and the remedy."""
    known = BACKENDS.get(backend)
    if known and config.platform in known.others and not config.default_model_filename:
        return (
            "platform",
            f"platform {config.platform}",
            f"add it, or correct the platform, since {known.filename} is loaded without one",
        )
    field = "default_model_filename" if config.default_model_filename else ""
    return field, f"backend {backend}", "add it, or correct default_model_filename"


def is_known(backend: str, facts: ModelFacts) -> bool:
    """Whether a container has a backend, or the model has its library."""
    library = f"libtriton_{backend}.so"
    own = {path.rpartition("/")[2] for version in facts.versions for path in version.files}
    own |= {path.rpartition("/")[2] for path in facts.files}
    return backend in BACKENDS or library in own


def _content(config: ModelConfig, backend: str, version: VersionFacts, name: str) -> Problems:
    where = f"{version.number}/{name}"
    for key, file in sorted(config.cc_model_filenames.items()):
        if not version.has(file):
            yield warning(
                f"cc_model_filenames.{key}",
                f"{version.number}/{file} is missing, which a GPU of capability {key} loads",
                "add it, or remove the entry",
            )
    if backend == "python":
        if version.sources.get(name):
            yield error("", f"{where} {version.sources[name]}", "correct it", where)
        completion = version.completions.get(name)
        if completion is not None:
            yield from check_completion(config, completion, where)
    elif backend == "onnxruntime" and name in version.graphs:
        graph = version.graphs[name]
        if isinstance(graph, str):
            yield error("", f"{where} cannot be read: {graph}", "export it again", where)
        elif graph.problems:
            yield from _file_problems(graph.problems, where)
        else:
            yield from check_graph(config, graph, where)
    elif backend in ("pytorch", "tensorrt"):
        problem = version.recognised.get(name)
        yield from _file_problems((problem,) if problem else (), where)
        if name in version.packages:
            yield from check_contents(config, version.packages[name], where)


def _file_problems(problems: tuple[FileProblem, ...], where: str) -> Problems:
    for problem in problems:
        report = error if problem.certain else warning
        joint = ": " if problem.found.startswith("its ") else " "
        yield report("", f"{where}{joint}{problem.found}", problem.remedy, where)
