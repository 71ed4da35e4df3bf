"""From an existing model file to a version: recognised, opened, run, configured, published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from exporters.artifacts.artifact import Artifact, FileTensor
from exporters.artifacts.declared import Declared, narrowed, read_sample, require_equal
from exporters.artifacts.trial import Verdict, evaluate
from trimaran.checks.backends import AOTI, backend_of, default_file
from trimaran.checks.raising import checked_config
from trimaran.publishing.publish import Publication, check_publishable, publish
from trimaran.repository.config import DEVICE_KINDS, ModelConfig, add_tensors
from trimaran.repository.dtypes import TensorSpec
from trimaran.repository.manifest import describe_version
from trimaran.repository.model_files.recognition import Kind, recognise
from trimaran.repository.repository import Repository, check_model_name
from trimaran.system.errors import ArtifactError, ConfigError, UsageError

__all__ = ["DEFAULT_MAX_BATCH_SIZE", "Added", "Wish", "add_file"]

DEFAULT_MAX_BATCH_SIZE = 32


@dataclass(frozen=True)
class Wish:
    """What a user says about a file. `max_batch_size` is `None` where nothing is said.

    `trust` allows native code, which only packages of AOTInductor hold.
    """

    name: str | None = None
    inputs: Sequence[Declared] = ()
    outputs: Sequence[Declared] = ()
    max_batch_size: int | None = None
    sample: Path | None = None
    trust: bool = False


@dataclass(frozen=True)
class Added:
    """The outcome. `note` says why there is no batching where it was tried; `remarks` are for
    users.
    """

    publication: Publication
    config: ModelConfig
    note: str
    remarks: Sequence[str] = ()


def add_file(source: Path, repository: Repository, wish: Wish | None = None) -> Added:
    """Take an existing model file into the repository as a model's next version.

    Raises `TrimaranError` where it cannot be served, or the repository's configuration disagrees
    with it; nothing is published then.
    """
    wish = wish or Wish()
    name = _name(source, wish.name)
    kind = recognise(source)
    _require_same_backend(repository, name, kind)
    with repository.staging() as scratch:
        staged = scratch / "version"
        staged.mkdir()
        artifact = _taken(kind, source, staged, wish)
        sample = read_sample(wish.sample, artifact.inputs) if wish.sample else None
        wanted = _wanted_batch(repository, name, wish)
        verdict = evaluate(artifact, str(source), wanted, sample, insist=bool(wish.max_batch_size))
        config = config_of(name, artifact, verdict)
        check_publishable(repository, config)
        manifest = describe_version(
            staged,
            artifact.format,
            source.parent,
            source=artifact.source,
            libraries=artifact.libraries,
            target=artifact.target,
        )
        publication = publish(repository, config, staged, manifest)
        return Added(publication, config, verdict.note, artifact.remarks)


def config_of(name: str, artifact: Artifact, verdict: Verdict) -> ModelConfig:
    """The configuration to start with: one instance, and dynamic batching where it may batch."""
    config = ModelConfig(
        name=name,
        backend=artifact.backend,
        platform=artifact.platform,
        max_batch_size=verdict.max_batch_size,
    )
    inputs, outputs = (
        [_spec(artifact, tensor, verdict.max_batch_size > 0) for tensor in tensors]
        for tensors in (artifact.inputs, artifact.outputs)
    )
    add_tensors(config, inputs, outputs)
    group = config.instance_group.add(count=1)
    if artifact.device:
        group.kind = DEVICE_KINDS[artifact.device]
    if verdict.max_batch_size > 1:
        config.dynamic_batching.SetInParent()
    return config


def _spec(artifact: Artifact, tensor: FileTensor, batched: bool) -> TensorSpec:
    """Without a batch axis, a scalar is `dims: [1]`, as the onnxruntime backend has it."""
    name = artifact.served_names.get(tensor.name, tensor.name)
    dims = tensor.shape[1:] if batched else tensor.shape or (1,)
    return TensorSpec(name, tensor.dtype, dims)


def _name(source: Path, given: str | None) -> str:
    if given is not None:
        return check_model_name(given)
    try:
        return check_model_name(source.stem)
    except UsageError as error:
        raise ArtifactError(f"{source}: {error}; or give another with --name") from error


def _taken(kind: Kind, source: Path, staged: Path, wish: Wish) -> Artifact:
    # The runtimes take seconds to import, and only one of them is needed.
    if kind is Kind.TORCHSCRIPT:
        from exporters.artifacts import torchscript_file

        return torchscript_file.take(source, staged, wish.inputs, wish.outputs, wish.sample)
    if kind is Kind.AOTI:
        from exporters.artifacts import aoti_package

        return aoti_package.take(
            source, staged, wish.inputs, wish.outputs, wish.sample, trust=wish.trust
        )
    if kind is Kind.PLAN:
        from exporters.artifacts import tensorrt_plan

        artifact = tensorrt_plan.take(source, staged)
    else:
        from exporters.artifacts import onnx_file

        artifact = onnx_file.take(source, staged)
    require_equal(str(source), artifact.outputs, wish.outputs)
    return replace(artifact, inputs=narrowed(str(source), artifact.inputs, wish.inputs))


def _wanted_batch(repository: Repository, name: str, wish: Wish) -> int:
    """The batch limit to try: the user's, else what the model is served with, else the default."""
    if wish.max_batch_size is not None:
        return wish.max_batch_size
    if repository.has_config(name):
        return checked_config(repository, name).max_batch_size
    return DEFAULT_MAX_BATCH_SIZE


_BACKENDS = {
    Kind.ONNX: ModelConfig(backend="onnxruntime"),
    Kind.TORCHSCRIPT: ModelConfig(backend="pytorch"),
    Kind.AOTI: ModelConfig(backend="pytorch", platform=AOTI),
    Kind.PLAN: ModelConfig(backend="tensorrt"),
}


def _require_same_backend(repository: Repository, name: str, kind: Kind) -> None:
    """Refuse a file that the model's standing configuration gives to another backend."""
    if not repository.has_config(name):
        return
    config, path = checked_config(repository, name), repository.config_path(name)
    backend, wanted = backend_of(config) or config.platform, _BACKENDS[kind]
    if backend != wanted.backend:
        raise ConfigError(
            f"{path}: {name} is served by {backend or 'no backend'}, and the file needs "
            f"{wanted.backend}; give it another name with --name"
        )
    filename = default_file(wanted, wanted.backend)
    if default_file(config, backend) != filename:
        raise ConfigError(
            f"{path}: {name} is served with the platform {config.platform or 'of TorchScript'}, "
            f"and the file would be {filename}; give it another name with --name"
        )
    if config.default_model_filename not in ("", filename):
        raise ConfigError(
            f"{path}: default_model_filename is {config.default_model_filename!r}, and the file "
            f"would be {filename}; give it another name with --name"
        )
