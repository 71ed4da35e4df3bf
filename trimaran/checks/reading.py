"""What the rules need to know of a repository, read from its files: the one module that does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from google.protobuf.message import DecodeError

from trimaran import dtypes
from trimaran.checks.facts import Graph, GraphTensor, ModelFacts, VersionFacts
from trimaran.checks.finding import Finding, error
from trimaran.checks.labels import label_files
from trimaran.checks.sources import source_problem
from trimaran.checks.versions import version_of
from trimaran.checks.warmup import warmup_files
from trimaran.config import ModelConfig, read_config
from trimaran.errors import ConfigError, TrimaranError
from trimaran.manifest import MANIFEST_NAME, Manifest
from trimaran.repository import Repository

__all__ = ["can_read_graphs", "model_directories", "read_model"]

_RELEASE_NAME = "release.json"
_LARGEST_GRAPH_BYTES = 2**31 - 1


def model_directories(repository: Repository) -> list[str]:
    """Every directory that Triton could be told to load, sorted; hidden ones are none."""
    return sorted(
        entry.name
        for entry in repository.root.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and any(entry.iterdir())
    )


def can_read_graphs() -> bool:
    """Whether the package `onnx` is installed."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        return False
    return True


def read_model(repository: Repository, name: str) -> ModelFacts:
    """The facts about one model's directory. Raises nothing for what is wrong in it."""
    directory = repository.model(name)
    config, config_problem = _read(repository.config_path(name), "config.pbtxt")
    live, live_problem = _read(repository.live_path(name), "configs/live.pbtxt")
    broken = tuple(item for item in (config_problem, live_problem) if item)
    directories = tuple(sorted(entry.name for entry in directory.iterdir() if entry.is_dir()))
    configs = [item for item in (config, live) if item is not None]
    return ModelFacts(
        name=name,
        config=config,
        live=live,
        text=repository.config_path(name).read_text() if config else "",
        broken=broken,
        versions=tuple(_versions(directory, directories, live or config or ModelConfig())),
        directories=directories,
        files=_sizes(directory, directories),
        lines=_lines(directory, {file for item in configs for file in label_files(item)}),
        warmup=_contents(
            directory / "warmup", {file for item in configs for file in warmup_files(item)}
        ),
    )


def _read(path: Path, name: str) -> tuple[ModelConfig | None, Finding | None]:
    if not path.exists():
        return None, None
    try:
        return read_config(path), None
    except ConfigError as problem:
        said = str(problem).removeprefix(f"{path}: ")
        return None, error("", said, "correct the file", name)


def _sizes(directory: Path, directories: tuple[str, ...]) -> dict[str, int]:
    """The files outside the versions, which warm-up, states and backends may name."""
    places = [directory, *(directory / d for d in directories if version_of(d) is None)]
    return {
        path.relative_to(directory).as_posix(): path.stat().st_size
        for place in places
        for path in (place.iterdir() if place == directory else place.rglob("*"))
        if path.is_file()
    }


def _lines(directory: Path, names: set[str]) -> dict[str, int]:
    found = {}
    for name in names:
        path = directory / name
        if path.is_file():
            found[name] = len(path.read_bytes().splitlines())
    return found


def _contents(directory: Path, names: set[str]) -> dict[str, bytes]:
    found = {}
    for name in names:
        path = directory / name
        if path.is_file():
            found[name] = path.read_bytes()
    return found


def _versions(
    directory: Path, directories: tuple[str, ...], config: ModelConfig
) -> Iterator[VersionFacts]:
    for name in sorted((d for d in directories if d.isdecimal()), key=lambda d: (int(d), d)):
        if version_of(name) is not None:
            yield _version(directory / name, int(name), config)


def _version(path: Path, number: int, config: ModelConfig) -> VersionFacts:
    files = frozenset(
        file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()
    )
    graphs, sources = {}, {}
    for name in files | {config.default_model_filename} - {""}:
        file = path / name
        if name.endswith(".onnx") and "/" not in name and file.is_file() and can_read_graphs():
            graphs[name] = _graph(file)
        if file.suffix == ".py" and "/" not in name and file.is_file():
            sources[name] = source_problem(file.read_bytes())
    facts = VersionFacts(
        number,
        files,
        released=_RELEASE_NAME in files,
        has_manifest=MANIFEST_NAME in files,
        graphs=graphs,
        sources=sources,
    )
    return _with_manifest(facts, path)


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


def _graph(path: Path) -> Graph | str:
    """An ONNX file's inputs and outputs, without the weights that lie beside it."""
    import onnx

    if path.stat().st_size > _LARGEST_GRAPH_BYTES:
        return "it has more than 2 GiB, which protobuf cannot hold"
    try:
        model = onnx.load_model(path, load_external_data=False)
    except (DecodeError, ValueError, OSError) as problem:
        return f"{problem}".splitlines()[0].rstrip(".:") or type(problem).__name__
    if not model.HasField("graph"):
        return "it holds no graph"
    initializers = frozenset(item.name for item in model.graph.initializer)
    return Graph(
        tuple(_tensor(item) for item in model.graph.input if item.name not in initializers),
        tuple(_tensor(item) for item in model.graph.output),
        initializers,
    )


def _tensor(item: object) -> GraphTensor:
    tensor = item.type.tensor_type  # type: ignore[attr-defined]
    try:
        dtype = dtypes.by_onnx(tensor.elem_type).triton
    except KeyError:
        dtype = ""
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim
        )
    return GraphTensor(item.name, dtype, shape)  # type: ignore[attr-defined]
