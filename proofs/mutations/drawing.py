"""What a mutation picks from a draft: a folder, a configuration, a tensor."""

from __future__ import annotations

from random import Random

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as protocol

from proofs.mutations.repositories import Draft, Folder
from trimaran.repository.config import ModelConfig

__all__ = ["config_of", "folder_of", "loadable", "merge", "model_config_of", "tensor_of"]


def folder_of(rng: Random, draft: Draft) -> tuple[str, Folder]:
    """A folder and its name."""
    name = rng.choice(sorted(draft.folders))
    return name, draft.folders[name]


def config_of(rng: Random, draft: Draft) -> ModelConfig:
    """A configuration."""
    return folder_of(rng, draft)[1].config or ModelConfig()


def model_config_of(rng: Random, draft: Draft) -> ModelConfig:
    """The configuration of a model that is no ensemble."""
    names = [n for n, f in draft.folders.items() if f.config and not f.config.platform]
    return draft.folders[rng.choice(sorted(names))].config or ModelConfig()


def tensor_of(rng: Random, draft: Draft) -> protocol.ModelInput | protocol.ModelOutput:
    """A declared input or output."""
    config = config_of(rng, draft)
    return rng.choice([*config.input, *config.output])


def merge(rng: Random, draft: Draft, texts: tuple[str, ...]) -> str:
    """One of the texts, merged into the configuration of a model that is no ensemble."""
    config, text = model_config_of(rng, draft), rng.choice(texts)
    text_format.Merge(text, config)
    return f"{config.name} + {text}"


def loadable(folder: Folder) -> list[str]:
    """The files of a folder that a backend loads."""
    return [path for path in folder.files if path.endswith((".py", ".onnx"))]
