"""Vision: images of one size, as classifiers are served, and one of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from exporters.spec import Axis, ModelSpec
from proofs.architectures.architecture import Architecture
from proofs.architectures.transformer import describe, network

__all__ = ["architectures"]

_VIT: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
_STAGES: dict[str, Any] = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
_SWIN: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "window_size": 4,
}
_ANY_SIZE: dict[int, Axis] = {2: ("height", 32, 96, 32), 3: ("width", 32, 96, 32)}


def architectures() -> Iterator[Architecture]:
    """Transformers, convolutions and mixtures of both."""
    classify = "ForImageClassification"
    yield _vision("vit", f"ViT{classify}", **_VIT)
    yield _vision("deit", f"DeiT{classify}", **_VIT)
    yield _vision("beit", f"Beit{classify}", **_VIT, use_relative_position_bias=True)
    yield _vision("data2vec_vision", f"Data2VecVision{classify}", **_VIT)
    yield _vision("dinov2", f"Dinov2{classify}", **_VIT)
    yield _vision("siglip_vision", "SiglipVisionModel", outputs=_POOLED, **_VIT)
    yield _vision("yolos", "YolosForObjectDetection", outputs=_BOXES, **_YOLOS)
    yield _vision("swin", f"Swin{classify}", **_SWIN)
    yield _vision("swinv2", f"Swinv2{classify}", **_SWIN)
    yield _vision("focalnet", f"FocalNet{classify}", **_FOCAL)
    yield _vision("hiera", f"Hiera{classify}", **_HIERA)
    yield _vision("pvt", f"Pvt{classify}", image_size=32, **_PVT)
    yield _vision("segformer", "SegformerForSemanticSegmentation", **_SEGFORMER)
    yield _vision("poolformer", f"PoolFormer{classify}", **_STAGES)
    yield _vision("levit", f"Levit{classify}", image_size=64, side=64, **_LEVIT)
    yield _vision("mobilevit", f"MobileViT{classify}", image_size=64, side=64, **_MOBILEVIT)
    yield _vision("resnet", f"ResNet{classify}", embedding_size=8, **_STAGES)
    yield _vision("resnet_any_size", f"ResNet{classify}", _ANY_SIZE, embedding_size=8, **_STAGES)
    yield _vision("regnet", f"RegNet{classify}", embedding_size=8, groups_width=4, **_STAGES)
    yield _vision("bit", f"Bit{classify}", refused=_STANDARDISED, **_BIT)
    yield _vision("convnext", f"ConvNext{classify}", **_STAGES)
    yield _vision("convnextv2", f"ConvNextV2{classify}", **_STAGES)
    yield _vision("mobilenet_v1", f"MobileNetV1{classify}", depth_multiplier=0.25)
    yield _vision("mobilenet_v2", f"MobileNetV2{classify}", depth_multiplier=0.25)
    yield _vision("efficientnet", f"EfficientNet{classify}", image_size=32, **_EFFICIENT)


_POOLED = ["last_hidden_state", "pooler_output"]
_BOXES = ["logits", "pred_boxes"]
_YOLOS: dict[str, Any] = {**_VIT, "image_size": [32, 32], "num_detection_tokens": 4}
_BIT: dict[str, Any] = {"embedding_size": 8, "num_groups": 4, **_STAGES}
_STANDARDISED = {"onnx": "PyTorch gives"}
"""It normalises its weights by a batch norm in training mode."""
_FOCAL: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [1, 1],
    "focal_levels": [2, 2],
    "focal_windows": [3, 3],
    "hidden_sizes": [16, 32],
}
_HIERA: dict[str, Any] = {
    "image_size": [32, 32],
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
    "patch_stride": [2, 2],
    "patch_size": [3, 3],
    "patch_padding": [1, 1],
    "masked_unit_size": [8, 8],
    "query_stride": [2, 2],
    "num_query_pool": 3,
}
_PVT: dict[str, Any] = {
    "hidden_sizes": [8, 16, 24, 32],
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 2, 3, 4],
}
_SEGFORMER: dict[str, Any] = {
    "hidden_sizes": [8, 16, 24, 32],
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 2, 3, 4],
    "decoder_hidden_size": 16,
}
_LEVIT: dict[str, Any] = {
    "hidden_sizes": [16, 24, 32],
    "num_attention_heads": [1, 2, 3],
    "depths": [1, 1, 1],
    "key_dim": [8, 8, 8],
    "mlp_ratio": [2, 2, 2],
    "attention_ratio": [2, 2, 2],
}
_MOBILEVIT: dict[str, Any] = {
    "hidden_sizes": [16, 24, 32],
    "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 32],
    "num_attention_heads": 4,
}
_EFFICIENT: dict[str, Any] = {
    "width_coefficient": 0.25,
    "depth_coefficient": 0.25,
    "hidden_dim": 320,
}


def _vision(
    name: str,
    model: str,
    axes: Mapping[int, Axis] | None = None,
    outputs: Sequence[str] = ("logits",),
    side: int = 32,
    refused: Mapping[str, str] | None = None,
    **values: Any,
) -> Architecture:
    def sampler(
        rows: int, generator: torch.Generator, lengths: Mapping[str, int]
    ) -> dict[str, Tensor]:
        shape = rows, 3, lengths["height"], lengths["width"]
        return {"pixel_values": torch.randn(shape, generator=generator)}

    def build() -> ModelSpec:
        # An example between the least and the most, so that neither looks like a constant.
        usual = 64 if axes else side
        return describe(
            name,
            network(model, **values),
            sampler,
            outputs,
            {"pixel_values": axes} if axes else {},
            {"height": usual, "width": usual},
        )

    return Architecture(name, "vision", build, refused or {})
