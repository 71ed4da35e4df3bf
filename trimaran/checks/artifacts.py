"""Rules for what lies in a version: the file that its backend loads, and what that file holds."""

from __future__ import annotations

from pathlib import PurePosixPath

from trimaran.checks.backends import BACKENDS, attribute
from trimaran.checks.facts import ModelFacts, VersionFacts
from trimaran.checks.finding import Problems, error, warning
from trimaran.checks.graphs import check_graph
from trimaran.checks.versions import served_versions
from trimaran.config import ModelConfig, is_ensemble

__all__ = ["artifact_name", "check_artifacts"]


def artifact_name(config: ModelConfig, backend: str) -> str:
    """The file that a backend loads from a version directory; empty where there is none to name."""
    return config.default_model_filename or (
        BACKENDS[backend].filename if backend in BACKENDS else ""
    )


def check_artifacts(facts: ModelFacts) -> Problems:
    """Versions without their file, or with one that Triton cannot load as configured."""
    config = facts.live or facts.config or ModelConfig()
    if is_ensemble(config) or facts.broken:
        return
    served = set(served_versions(config, facts.numbers))
    # Triton looks into the first version alone.
    entries = {PurePosixPath(path).parts[0] for v in facts.versions[:1] for path in v.files}
    backend = attribute(config, entries)
    if not backend:
        if facts.versions and not config.platform:
            yield error(
                "backend",
                "no backend is named, and no file of the versions tells which it is",
                'name one, such as backend: "python"',
            )
        return
    name = artifact_name(config, backend)
    for version in facts.versions:
        report = error if version.number in served else warning
        where = f"{version.number}/{name}"
        # Only ONNX Runtime takes a directory in place of a file.
        there = version.has(name) if backend != "python" else name in version.files
        if name and not there:
            yield report(
                "default_model_filename" if config.default_model_filename else "",
                f"{where} is missing, which backend {backend} loads",
                "add it, or correct default_model_filename",
                str(version.number),
            )
        elif version.number in served:
            yield from _content(config, backend, version, name)


def _content(config: ModelConfig, backend: str, version: VersionFacts, name: str) -> Problems:
    where = f"{version.number}/{name}"
    for key, file in sorted(config.cc_model_filenames.items()):
        if not version.has(file):
            yield warning(
                f"cc_model_filenames.{key}",
                f"{version.number}/{file} is missing, which a GPU of capability {key} loads",
                "add it, or remove the entry",
            )
    if backend == "python" and version.sources.get(name):
        yield error("", f"{where} {version.sources[name]}", "correct it", where)
    if backend == "onnxruntime" and name in version.graphs:
        graph = version.graphs[name]
        if isinstance(graph, str):
            yield error("", f"{where} cannot be read: {graph}", "export it again", where)
        else:
            yield from check_graph(config, graph, where)
