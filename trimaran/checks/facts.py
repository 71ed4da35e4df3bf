"""Plain facts about a model's directory, as the rules need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from trimaran.checks.finding import Finding
from trimaran.checks.python_source import Completion
from trimaran.repository.config import ModelConfig

__all__ = ["FileProblem", "Graph", "GraphTensor", "ModelFacts", "Package", "VersionFacts"]


@dataclass(frozen=True)
class FileProblem:
    """Why a model file is not served; `certain` is false where another machine may serve it."""

    found: str
    remedy: str
    certain: bool = True


@dataclass(frozen=True)
class GraphTensor:
    """A tensor of an ONNX graph: Triton type (`FP32`) and full shape, -1 for any length.

    `shape` is `None` where the graph does not say it; `kind` is another than `tensor` for what
    Triton cannot carry, such as a `sequence`.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    kind: str = "tensor"


@dataclass(frozen=True)
class Graph:
    """What an ONNX file takes and gives; `initializers` are weights that an input may replace."""

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    initializers: frozenset[str] = frozenset()
    problems: tuple[FileProblem, ...] = ()


@dataclass(frozen=True)
class Package:
    """The device, `cpu` or `cuda`, that AOTInductor compiled for, and the names of what it takes
    and gives, in order; `None` where the package does not say them.
    """

    device: str
    inputs: tuple[str, ...] | None = None
    results: tuple[str, ...] | None = None


@dataclass(frozen=True)
class VersionFacts:
    """One version directory."""

    number: int
    files: frozenset[str] = frozenset()
    """Paths of files below it, with forward slashes."""
    problem: str = ""
    """Why its manifest or its files cannot be trusted."""
    released: bool = False
    """Whether it holds a release that pins its steps."""
    has_manifest: bool = False
    unrecorded: tuple[str, ...] = ()
    """Files that its manifest does not know."""
    graphs: Mapping[str, Graph | str] = field(default_factory=dict)
    """By file: what an ONNX file holds, or why it cannot be read."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """By file: why a Python source is no model, or an empty text."""
    completions: Mapping[str, Completion | None] = field(default_factory=dict)
    """By file: what a Python source adds to its configuration, `None` if nothing."""
    recognised: Mapping[str, FileProblem | None] = field(default_factory=dict)
    """By file: why a `.pt`, `.pt2` or `.plan` file is none, or `None` for one that is."""
    packages: Mapping[str, Package] = field(default_factory=dict)
    """By file: what a sound package of AOTInductor holds."""

    def has(self, name: str) -> bool:
        """Whether it holds a file, or a directory with files, of that name."""
        wanted = str(PurePosixPath(name))
        return wanted in self.files or any(path.startswith(f"{wanted}/") for path in self.files)


@dataclass(frozen=True)
class ModelFacts:
    """A model's directory: its configurations, its versions, and its other files."""

    name: str
    config: ModelConfig | None
    """What `config.pbtxt` says, or `None` if there is none or it cannot be read."""
    live: ModelConfig | None = None
    """What `configs/live.pbtxt` says."""
    text: str = ""
    """The text of `config.pbtxt`."""
    broken: tuple[Finding, ...] = ()
    """Configurations that cannot be read."""
    remarks: tuple[Finding, ...] = ()
    """What is to be said of the text of configurations that can be read."""
    versions: tuple[VersionFacts, ...] = ()
    directories: tuple[str, ...] = ()
    """Names of all directories in it, sorted."""
    first_entries: frozenset[str] = frozenset()
    """The entries of the first of these, from which Triton infers a backend that is not named."""
    files: Mapping[str, int] = field(default_factory=dict)
    """Sizes in bytes of the files outside its versions, by path."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """How many lines each of its label files has, by path."""
    warmup: Mapping[str, bytes] = field(default_factory=dict)
    """What the files hold that its warm-up names, by path below `warmup/`."""
    environments: Mapping[str, str] = field(default_factory=dict)
    """By path, as it is written: why an environment cannot be used, or an empty text."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of its versions, sorted."""
        return tuple(version.number for version in self.versions)

    @property
    def effective(self) -> ModelConfig:
        """The configuration that a server takes; an empty one where there is none."""
        return self.live or self.config or ModelConfig()
