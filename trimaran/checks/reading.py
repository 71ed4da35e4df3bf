"""The facts that the rules need about a repository: the one module that reads its files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from trimaran.checks.backends import BACKENDS, backend_of, default_file
from trimaran.checks.environments import environment_path, environment_problem
from trimaran.checks.facts import Graph, ModelFacts, Package, VersionFacts
from trimaran.checks.finding import Finding, Severity, error, warning
from trimaran.checks.onnx_files import read_onnx
from trimaran.checks.python_source import class_file, read_completion, source_problem
from trimaran.checks.recognised_files import (
    plan_problem,
    read_contents,
    torchscript_problem,
)
from trimaran.checks.tensors import label_files
from trimaran.checks.versions import served_versions, version_of
from trimaran.checks.warmup import warmup_files
from trimaran.repository.config import (
    ModelConfig,
    UnknownNumberError,
    parse_config,
    read_config_bytes,
)
from trimaran.repository.config_text import decode_config
from trimaran.repository.manifest import MANIFEST_NAME, Manifest
from trimaran.repository.repository import Repository
from trimaran.system.errors import ConfigError, TrimaranError

__all__ = ["model_directories", "read_model"]

_RELEASE_NAME = "release.json"


def model_directories(repository: Repository) -> list[str]:
    """Every directory that Triton could load as a model, sorted, without hidden ones."""
    return sorted(
        entry.name
        for entry in repository.root.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and any(entry.iterdir())
    )


def read_model(repository: Repository, name: str) -> ModelFacts:
    """The facts about one model's directory. Mistakes in it raise nothing."""
    directory = repository.model(name)
    config, text, problems = _read(repository.config_path(name), "config.pbtxt")
    live, _, live_problems = _read(repository.live_path(name), "configs/live.pbtxt")
    findings = (*problems, *live_problems)
    directories = tuple(sorted(entry.name for entry in directory.iterdir() if entry.is_dir()))
    configs = [item for item in (config, live) if item is not None]
    environments = {environment_path(item) for item in configs} - {""}
    return ModelFacts(
        name=name,
        config=config,
        live=live,
        text=text,
        broken=tuple(f for f in findings if f.severity is Severity.ERROR),
        remarks=tuple(f for f in findings if f.severity is not Severity.ERROR),
        versions=tuple(_versions(directory, directories, live or config or ModelConfig())),
        directories=directories,
        first_entries=_first_entries(directory, directories),
        files=_sizes(directory, directories),
        lines=_lines(directory, {file for item in configs for file in label_files(item)}),
        warmup=_contents(
            directory / "warmup", {file for item in configs for file in warmup_files(item)}
        ),
        environments={path: environment_problem(path, directory) for path in environments},
    )


def _read(path: Path, name: str) -> tuple[ModelConfig | None, str, tuple[Finding, ...]]:
    """A configuration, its text, and the problems of either."""
    if not (path.exists() or path.is_symlink()):
        return None, "", ()
    try:
        read = decode_config(read_config_bytes(path), str(path))
        config = parse_config(read.text, str(path))
    except UnknownNumberError as problem:
        numbers = problem.numbers
        return None, "", tuple(error(field, said, fix, name) for field, said, fix in numbers)
    except ConfigError as problem:
        found, _, remedy = str(problem).removeprefix(f"{path}: ").rpartition("; ")
        return None, "", (error("", found or remedy, remedy if found else _CORRECT, name),)
    return config, read.text, tuple(_foreign_text(read.latin_lines, name))


_CORRECT = "correct the file"


def _foreign_text(lines: tuple[int, ...], name: str) -> Iterator[Finding]:
    if lines:
        yield warning(
            "",
            f"line {lines[0]} holds text that is not UTF-8, which clients over gRPC cannot read",
            "save the file as UTF-8",
            name,
        )


def _first_entries(directory: Path, directories: tuple[str, ...]) -> frozenset[str]:
    """The entries of the first directory, from which Triton infers a backend that is not named."""
    if not directories:
        return frozenset()
    return frozenset(entry.name for entry in (directory / directories[0]).iterdir())


def _sizes(directory: Path, directories: tuple[str, ...]) -> dict[str, int]:
    """The files outside the versions, which warm-up, states and backends may name."""
    places = [directory, *(directory / d for d in directories if version_of(d) is None)]
    return {
        path.relative_to(directory).as_posix(): path.stat().st_size
        for place in places
        for path in (place.iterdir() if place == directory else place.rglob("*"))
        if path.is_file()
    }


def _is_file(path: Path) -> bool:
    """Whether there is a file; an impossible name is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _lines(directory: Path, names: set[str]) -> dict[str, int]:
    found = {}
    for name in names:
        path = directory / name
        if _is_file(path):
            found[name] = len(path.read_bytes().splitlines())
    return found


def _contents(directory: Path, names: set[str]) -> dict[str, bytes]:
    found = {}
    for name in names:
        path = directory / name
        if _is_file(path):
            found[name] = path.read_bytes()
    return found


def _versions(
    directory: Path, directories: tuple[str, ...], config: ModelConfig
) -> Iterator[VersionFacts]:
    names = sorted((d for d in directories if d.isdecimal()), key=lambda d: (int(d), d))
    numbers = [int(name) for name in names if version_of(name) is not None]
    served = set(served_versions(config, numbers))
    for name in names:
        if version_of(name) is not None:
            number = int(name)
            yield _version(directory / name, number, config, checked=number in served)


def _version(path: Path, number: int, config: ModelConfig, *, checked: bool) -> VersionFacts:
    """A version directory; model files are read where they are `checked`."""
    files = frozenset(
        file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()
    )
    facts = VersionFacts(
        number, files, released=_RELEASE_NAME in files, has_manifest=MANIFEST_NAME in files
    )
    facts = _with_manifest(facts, path)
    return _with_contents(facts, path, config) if checked else facts


def _with_contents(facts: VersionFacts, path: Path, config: ModelConfig) -> VersionFacts:
    trusted = facts.has_manifest and not facts.problem
    level = config.optimization.graph.level
    own = bool(config.model_operations.op_library_filename)
    graphs: dict[str, Graph | str] = {}
    packages: dict[str, Package] = {}
    sources, completions, recognised = {}, {}, {}
    entries = {PurePosixPath(file).parts[0] for file in facts.files}
    for name in _loadable(config):
        file, kind = path / name, _kind(name, config)
        if not (name in entries or _is_file(file)):
            continue
        if kind == ".onnx":
            graph = read_onnx(file, level=level, trusted=trusted, own_operators=own)
            graphs |= {} if graph is None else {name: graph}
        elif kind == ".pt":
            recognised[name] = torchscript_problem(file)
        elif kind == ".pt2":
            found = read_contents(file)
            packages |= {name: found} if isinstance(found, Package) else {}
            recognised[name] = None if isinstance(found, Package) else found
        elif kind == ".plan":
            recognised[name] = plan_problem(file)
        elif kind == ".py" and _is_file(file):
            source = _source(file)
            sources[name] = source if isinstance(source, str) else source_problem(source)
            if not isinstance(source, str):
                completions[name] = read_completion(_with_class(source, path))
    return replace(
        facts,
        graphs=graphs,
        sources=sources,
        completions=completions,
        recognised=recognised,
        packages=packages,
    )


def _kind(name: str, config: ModelConfig) -> str:
    """The suffix by which a file is checked: its backend's where the configuration names it."""
    usual = default_file(config, backend_of(config))
    if name == config.default_model_filename and usual:
        return PurePosixPath(usual).suffix
    return PurePosixPath(name).suffix


def _loadable(config: ModelConfig) -> set[str]:
    """The files of a version that a backend may load; others are for the model's own use."""
    if config.default_model_filename:
        return {config.default_model_filename}
    files = {default_file(config, backend) for backend in BACKENDS}
    return files - {""}


def _with_class(source: bytes, version: Path) -> bytes:
    """The source that defines the model's class: another file of the version may."""
    defining = class_file(source)
    found = _source(version / defining) if defining and _is_file(version / defining) else source
    return source if isinstance(found, str) else found


def _source(file: Path) -> bytes | str:
    try:
        return file.read_bytes()
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"


def _with_manifest(facts: VersionFacts, path: Path) -> VersionFacts:
    if not facts.has_manifest:
        return facts
    try:
        manifest = Manifest.read(path)
    except TrimaranError as problem:
        return replace(facts, problem=str(problem).rpartition(f"{path}/")[2])
    damage = manifest.damage(path, hashes=True)
    unrecorded = facts.files - manifest.files.keys() - {MANIFEST_NAME}
    return replace(facts, problem=damage or "", unrecorded=tuple(sorted(unrecorded)))
