"""Mutations of a Python model that completes its own configuration, and of its environment."""

from __future__ import annotations

from random import Random

from google.protobuf import text_format

from proofs.mutations.repositories import Draft

__all__ = ["mutate_completion", "mutate_environment"]

_CHANGES = (
    ('"data_type": "TYPE_FP32", "dims": [4]}', '"data_type": "TYPE_INT32", "dims": [4]}'),
    ('"data_type": "TYPE_FP32", "dims": [4]}', '"data_type": "TYPE_FP32", "dims": [5]}'),
    ('"data_type": "TYPE_FP32", "dims": [4]}', '"data_type": "TYPE_FP32"}'),
    ('"data_type": "TYPE_FP32", "dims": [4]}', '"dims": [4]}'),
    ('"name": "x", ', ""),
    ('"dims": [4]}', '"dims": [4], "labels": "no"}'),
    ("set_max_batch_size(8)", "set_max_batch_size(4)"),
    ("set_max_batch_size(8)", "set_max_batch_size(16)"),
    ("        return config\n", ""),
    ("def auto_complete_config", "def complete_config"),
    ("config.add_output(OUTPUT)", "pass"),
    ("config.add_output(OUTPUT)", "config.set_dynamic_batching()"),
    ("config.add_output(OUTPUT)", 'config.set_model_transaction_policy({"a": 1})'),
    ("config.add_output(OUTPUT)", 'config.set_model_transaction_policy({"decoupled": True})'),
    ("config.add_output(OUTPUT)", "[config.add_output(item) for item in [OUTPUT]]"),
)
_TEXTS = (
    "model_transaction_policy { decoupled: false }",
    "model_transaction_policy { decoupled: true }",
    "sequence_batching { }",
    'output { name: "z" }',
    'input { name: "z" }',
    "dynamic_batching { }",
)
_ENVIRONMENTS: tuple[tuple[str, dict[str, bytes]], ...] = (
    ("$$TRITON_MODEL_DIRECTORY/env.tar.gz", {}),
    ("$$TRITON_MODEL_DIRECTORY/env", {}),
    ("$$TRITON_MODEL_DIRECTORY/env", {"env/bin/python": b""}),
    ("$$TRITON_MODEL_DIRECTORY/env.tar", {"env.tar": b"no archive"}),
    ("$$TRITON_MODEL_DIRECTORY/env.tar", {"env.tar": b""}),
    ("$$TRITON_MODEL_DIRECTORY/env.zip", {"env.zip": b"PK\x05\x06" + bytes(18)}),
    ("$$TRITON_MODEL_DIRECTORY/env.tar", {"env.tar": bytes(10240)}),
    ("/nowhere/env.tar.gz", {}),
    ("nowhere.tar.gz", {}),
    ("", {}),
)


def mutate_completion(rng: Random, draft: Draft) -> str:
    """Another completion, or another configuration with it."""
    folder = draft.folders[next(iter(draft.folders))]
    if rng.random() < 0.3 and folder.config is not None:
        text = rng.choice(_TEXTS)
        text_format.Merge(text, folder.config)
        return f"config + {text}"
    source = folder.files["1/model.py"].decode()
    old, new = rng.choice(_CHANGES)
    folder.files["1/model.py"] = source.replace(old, new, 1).encode()
    return f"{old.strip()} to {new.strip()}"


def mutate_environment(rng: Random, draft: Draft) -> str:
    """An environment that is missing or unusable."""
    folder = draft.folders[next(iter(draft.folders))]
    path, files = rng.choice(_ENVIRONMENTS)
    if folder.config is None:
        return ""
    folder.config.parameters["EXECUTION_ENV_PATH"].string_value = path
    folder.files.update(files)
    return f"EXECUTION_ENV_PATH {path!r} with {', '.join(files) or 'no file'}"
