"""Encoders with decoders, and two towers: several inputs, each with its own axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from exporters.spec import ModelSpec
from proofs.architectures.architecture import Architecture
from proofs.architectures.transformer import VOCABULARY, describe, masks, network, tokens

__all__ = ["architectures"]

_LONGEST = 40
_LENGTHS: dict[str, Any] = {"sequence": 9, "target": 7}
_PAIR: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "decoder_start_token_id": 1,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "forced_eos_token_id": None,
}
_T5: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
}
_TEXT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "projection_dim": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 95,
}
_VISION: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "projection_dim": 16,
}
_TOWERS: dict[str, Any] = {"text_config": _TEXT, "vision_config": _VISION, "projection_dim": 16}


def architectures() -> Iterator[Architecture]:
    """Text to text, speech to text, and text with images."""
    yield _pair("t5", "T5ForConditionalGeneration", **_T5)
    yield _pair("bart", "BartForConditionalGeneration", **_PAIR)
    yield _pair("mbart", "MBartForConditionalGeneration", **_PAIR)
    yield _pair("marian", "MarianMTModel", **_PAIR)
    yield _pair("pegasus", "PegasusForConditionalGeneration", **_PAIR)
    yield _towers("clip", "CLIPModel", ["text_embeds", "image_embeds"], **_TOWERS)
    yield _towers("siglip", "SiglipModel", ["text_embeds", "image_embeds"], **_TOWERS)
    yield _towers("chinese_clip", "ChineseCLIPModel", ["text_embeds", "image_embeds"], **_TOWERS)
    yield _towers("vilt", "ViltModel", ["pooler_output"], _BY_VALUE, **_VISION, **_VILT)
    yield _speech("whisper", "WhisperForConditionalGeneration")


_BY_VALUE = {
    "onnx": "depending on a tensor's values",
    "aoti": "depending on a tensor's values",
    "torchscript": "reads a tensor's values",
}
"""It cuts images by what their masks hold."""
_VILT: dict[str, Any] = {"vocab_size": VOCABULARY, "max_position_embeddings": 64}
_MELS, _FRAMES = 8, 32


def _pair(name: str, model: str, **values: Any) -> Architecture:
    def sampler(
        rows: int, generator: torch.Generator, lengths: Mapping[str, int]
    ) -> dict[str, Tensor]:
        return {
            "input_ids": tokens(rows, lengths["sequence"], generator),
            "attention_mask": masks(rows, lengths["sequence"], generator),
            "decoder_input_ids": tokens(rows, lengths["target"], generator),
        }

    def build() -> ModelSpec:
        axes = {
            "input_ids": {1: ("sequence", 1, _LONGEST)},
            "attention_mask": {1: ("sequence", 1, _LONGEST)},
            "decoder_input_ids": {1: ("target", 1, _LONGEST)},
        }
        return describe(name, network(model, **values), sampler, ["logits"], axes, _LENGTHS)

    return Architecture(name, "encoder and decoder", build)


def _towers(
    name: str,
    model: str,
    outputs: Sequence[str],
    refused: Mapping[str, str] | None = None,
    **values: Any,
) -> Architecture:
    def sampler(
        rows: int, generator: torch.Generator, lengths: Mapping[str, int]
    ) -> dict[str, Tensor]:
        return {
            "pixel_values": torch.randn(rows, 3, 32, 32, generator=generator),
            "input_ids": tokens(rows, lengths["sequence"], generator),
            "attention_mask": masks(rows, lengths["sequence"], generator),
        }

    def build() -> ModelSpec:
        axes = {given: {1: ("sequence", 1, _LONGEST)} for given in ("input_ids", "attention_mask")}
        return describe(name, network(model, **values), sampler, outputs, axes, {"sequence": 9})

    return Architecture(name, "text and image", build, refused or {})


def _speech(name: str, model: str) -> Architecture:
    values = {**_PAIR, "num_mel_bins": _MELS, "max_source_positions": _FRAMES // 2}

    def sampler(
        rows: int, generator: torch.Generator, lengths: Mapping[str, int]
    ) -> dict[str, Tensor]:
        return {
            "input_features": torch.randn(rows, _MELS, _FRAMES, generator=generator),
            "decoder_input_ids": tokens(rows, lengths["target"], generator),
        }

    def build() -> ModelSpec:
        axes = {"decoder_input_ids": {1: ("target", 1, _LONGEST)}}
        module = network(model, **values, max_target_positions=64)
        return describe(name, module, sampler, ["logits"], axes, _LENGTHS)

    return Architecture(name, "encoder and decoder", build)
