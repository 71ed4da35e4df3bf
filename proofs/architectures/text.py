"""Text encoders: a sequence of any length, padded on the right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
}
_LONGEST = 40


def architectures() -> Iterator[Architecture]:
    """One sentence classifier per family of encoders, and a few of other kinds."""
    classify = "ForSequenceClassification"
    yield _text("bert", "BertModel", outputs=["last_hidden_state", "pooler_output"])
    yield _text("bert_classifier", f"Bert{classify}", inputs=_WITH_TYPES)
    yield _text("bert_masked_lm", "BertForMaskedLM")
    yield _text("roberta", f"Roberta{classify}")
    yield _text("xlm_roberta", f"XLMRoberta{classify}")
    yield _text("camembert", "CamembertForTokenClassification")
    yield _text("distilbert", f"DistilBert{classify}", dim=32, n_layers=2, n_heads=4, hidden_dim=48)
    yield _text("albert", f"Albert{classify}", embedding_size=16)
    yield _text("electra", f"Electra{classify}", embedding_size=16)
    yield _text("mpnet", f"MPNet{classify}")
    yield _text("deberta", f"Deberta{classify}", refused=_BY_VALUE, **_DEBERTA)
    yield _text("deberta_v2", f"DebertaV2{classify}", **_DEBERTA)
    yield _text("squeezebert", f"SqueezeBert{classify}", embedding_size=32, **_SQUEEZED)
    yield _text("mobilebert", f"MobileBert{classify}", embedding_size=16, intra_bottleneck_size=32)
    yield _text("convbert", f"ConvBert{classify}", refused=_AS_LONG_AS_A_KERNEL, **_CONVOLVED)
    yield _text("roformer", f"RoFormer{classify}", embedding_size=32)
    yield _text("ernie", f"Ernie{classify}")
    yield _text("esm", f"Esm{classify}", pad_token_id=1, mask_token_id=4)
    yield _text("modernbert", f"ModernBert{classify}", **_MODERN)
    yield _text("layoutlm", f"LayoutLM{classify}", inputs=_WITH_BOXES)
    yield _text("fnet", f"FNet{classify}", inputs=["input_ids"])
    yield _text("bert_question_answering", "BertForQuestionAnswering", outputs=_SPAN)
    yield _text("bert_every_layer", "BertModel", outputs=_LAYERS, **_HIDDEN)


_WITH_TYPES = ["input_ids", "attention_mask", "token_type_ids"]
_WITH_BOXES = ["input_ids", "bbox", "attention_mask"]
_SPAN = ["start_logits", "end_logits"]
_HIDDEN: dict[str, Any] = {"output_hidden_states": True, "num_hidden_layers": 2}
_LAYERS = ["hidden_states_0", "hidden_states_1", "hidden_states_2"]
_BY_VALUE = {"aoti": "depending on a tensor's values"}
_CONVOLVED: dict[str, Any] = {"embedding_size": 32, "head_ratio": 2, "num_groups": 1}
_AS_LONG_AS_A_KERNEL = {"aoti": "on sequence = 1 (where forward goes another way than on the"}
_SQUEEZED: dict[str, Any] = {
    f"{part}_groups": 2 for part in ("q", "k", "v", "post_attention", "intermediate", "output")
}
_DEBERTA: dict[str, Any] = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "max_relative_positions": 16,
    "type_vocab_size": 0,
}
_MODERN: dict[str, Any] = {"pad_token_id": 0, "local_attention": 8, "global_attn_every_n_layers": 2}


def _text(
    name: str,
    model: str,
    outputs: Sequence[str] = ("logits",),
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    refused: Mapping[str, str] | None = None,
    **values: Any,
) -> Architecture:
    def sampler(
        rows: int, generator: torch.Generator, lengths: Mapping[str, int]
    ) -> dict[str, Tensor]:
        length = lengths["sequence"]
        made = {
            "input_ids": tokens(rows, length, generator),
            "attention_mask": masks(rows, length, generator),
            "token_type_ids": torch.randint(0, 2, (rows, length), generator=generator),
            "bbox": torch.randint(0, 30, (rows, length, 4), generator=generator)
            + torch.tensor([0, 0, 30, 30]),
        }
        return {given: made[given] for given in inputs}

    def build() -> ModelSpec:
        axes = {given: {1: ("sequence", 1, _LONGEST)} for given in inputs}
        module = network(model, **{**_SIZES, **values})
        return describe(name, module, sampler, outputs, axes, {"sequence": 9})

    return Architecture(name, "text", build, refused or {})
