"""Decoders: the logits of every next token, for a prompt of any length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from exporters.spec import ModelSpec
from proofs.architectures.architecture import Architecture
from proofs.architectures.transformer import VOCABULARY, describe, masks, network, tokens

__all__ = ["architectures"]

_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GROUPED: dict[str, Any] = {"num_key_value_heads": 2}
_LOCAL: dict[str, Any] = {"attention_types": [[["global", "local"], 1]], "window_size": 8}
_MIXED: dict[str, Any] = {"num_local_experts": 4, **_GROUPED}
_BATCHED: dict[str, Any] = {**_MIXED, "experts_implementation": "batched_mm"}
_SCAN = {
    "onnx": "the sequence axis",
    "aoti": "makes a constant of an axis that varies",
    "torchscript": "fails on 2 rows: RuntimeError: ",
}
"""A loop over the sequence in Python, which every capture unrolls to the example's length."""
_IN_PYTHON = {"onnx": "no operator", "aoti": "Could not find schema"}
"""An operator that transformers defines in Python, so that no other process has it."""
_LONGEST = 40


def architectures() -> Iterator[Architecture]:
    """Every kind of attention and position that decoders have, and two that have no attention."""
    yield _decoder("gpt2", "GPT2LMHeadModel")
    yield _decoder("gpt_neo", "GPTNeoForCausalLM", num_hidden_layers=2, **_LOCAL)
    yield _decoder("gpt_neox", "GPTNeoXForCausalLM", rotary_pct=0.5)
    yield _decoder("gptj", "GPTJForCausalLM", rotary_dim=4)
    yield _decoder("codegen", "CodeGenForCausalLM", rotary_dim=4)
    yield _decoder("opt", "OPTForCausalLM", ffn_dim=48, word_embed_proj_dim=32)
    yield _decoder("bloom", "BloomForCausalLM")
    yield _decoder("falcon", "FalconForCausalLM")
    yield _decoder("llama", "LlamaForCausalLM", **_GROUPED)
    yield _decoder("mistral", "MistralForCausalLM", sliding_window=8, **_GROUPED)
    yield _decoder("qwen2", "Qwen2ForCausalLM", **_GROUPED)
    yield _decoder("qwen3", "Qwen3ForCausalLM", head_dim=8, **_GROUPED)
    yield _decoder("gemma", "GemmaForCausalLM", head_dim=8, **_GROUPED)
    yield _decoder("phi", "PhiForCausalLM", partial_rotary_factor=0.5)
    yield _decoder("phi3", "Phi3ForCausalLM", **_GROUPED)
    yield _decoder("stablelm", "StableLmForCausalLM", **_GROUPED)
    yield _decoder("granite", "GraniteForCausalLM", **_GROUPED)
    yield _decoder("starcoder2", "Starcoder2ForCausalLM", **_GROUPED)
    yield _decoder("olmo", "OlmoForCausalLM", **_GROUPED)
    yield _decoder("mixtral", "MixtralForCausalLM", **_BATCHED)
    yield _decoder("mixtral_grouped", "MixtralForCausalLM", _IN_PYTHON, **_MIXED)
    yield _decoder("mamba", "MambaForCausalLM", _SCAN, state_size=4)
    yield _decoder("gpt2_without_cache", "GPT2LMHeadModel", use_cache=False)


def _decoder(
    name: str, model: str, refused: Mapping[str, str] | None = None, **values: Any
) -> Architecture:
    def sampler(
        rows: int, generator: torch.Generator, lengths: Mapping[str, int]
    ) -> dict[str, Tensor]:
        length = lengths["sequence"]
        return {
            "input_ids": tokens(rows, length, generator),
            "attention_mask": masks(rows, length, generator),
        }

    def build() -> ModelSpec:
        axes = {given: {1: ("sequence", 1, _LONGEST)} for given in ("input_ids", "attention_mask")}
        module = network(model, **{**_SIZES, **values})
        return describe(name, module, sampler, ["logits"], axes, {"sequence": 9})

    return Architecture(name, "decoder", build, refused or {})
