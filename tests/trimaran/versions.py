"""Small versions for the tests, published as every producer publishes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from trimaran.publishing.publish import Publication, publish
from trimaran.repository import dtypes
from trimaran.repository.config import ModelConfig, add_tensors
from trimaran.repository.dtypes import TensorSpec
from trimaran.repository.manifest import Manifest, content_digest, describe_files, now
from trimaran.repository.repository import Repository


def tensor(name: str, dtype: str = "FP32", *dims: int) -> TensorSpec:
    return TensorSpec(name, dtypes.by_triton(dtype), dims or (4,))


def model_config(
    name: str,
    inputs: tuple[TensorSpec, ...] = (tensor("x"),),
    outputs: tuple[TensorSpec, ...] = (tensor("y"),),
    max_batch_size: int = 8,
) -> ModelConfig:
    config = ModelConfig(name=name, backend="onnxruntime", max_batch_size=max_batch_size)
    add_tensors(config, inputs, outputs)
    return config


def publish_files(
    repository: Repository, config: ModelConfig, files: Mapping[str, bytes], ensemble: str = ""
) -> Publication:
    """Publish a version that holds `files`, for one `ensemble` only if that is given."""
    with repository.staging() as scratch:
        staged = scratch / "version"
        for name, content in files.items():
            path = staged / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        described = describe_files(staged)
        manifest = Manifest(
            format="onnx",
            content=content_digest(described, {}),
            files=described,
            source={"git_commit": "", **({"ensemble": ensemble} if ensemble else {})},
            libraries={},
            created_at=now(),
        )
        return publish(repository, config, staged, manifest)


def main(root: str, model: str, label: str, count: str) -> None:
    """Publish `count` versions once a line comes in, and print their numbers."""
    repository = Repository.create(Path(root))
    config = model_config(model)
    print("ready", flush=True)
    sys.stdin.readline()
    for index in range(int(count)):
        content = f"{label} {index}".encode() * 1000
        print(publish_files(repository, config, {"model.onnx": content}).version, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
