"""Audio: waveforms of any length, and spectrograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from exporters.spec import ModelSpec
from proofs.architectures.architecture import Architecture
from proofs.architectures.transformer import describe, network

__all__ = ["architectures"]

_WAVE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16, 16, 16],
    "conv_kernel": [8, 4, 2],
    "conv_stride": [4, 2, 2],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 16,
    "vocab_size": 32,
    "pad_token_id": 0,
}
_SHORTEST, _USUAL, _LONGEST = 100, 401, 1600
_MELS, _FRAMES = 8, 32


def architectures() -> Iterator[Architecture]:
    """Encoders of speech, with their convolutions over the wave, and of spectrograms."""
    classify = "ForSequenceClassification"
    yield _wave("wav2vec2", f"Wav2Vec2{classify}")
    yield _wave("wav2vec2_ctc", "Wav2Vec2ForCTC")
    yield _wave(
        "wav2vec2_conformer",
        "Wav2Vec2ConformerModel",
        ["last_hidden_state"],
        _POSITIONS_KEPT,
        **_CONFORMER,
    )
    yield _wave("hubert", f"Hubert{classify}")
    yield _wave("wavlm", f"WavLM{classify}", num_buckets=16, max_bucket_distance=32)
    yield _wave("sew", f"SEW{classify}", refused=_LENGTH_IN_PYTHON)
    yield _wave("unispeech", f"UniSpeech{classify}")
    yield _wave("data2vec_audio", f"Data2VecAudio{classify}")
    yield _spectrogram("ast", "ASTForAudioClassification", "input_values", ["logits"], **_AST)
    yield _spectrogram("whisper_classifier", "WhisperForAudioClassification", **_WHISPER)
    yield Architecture("whisper_encoder", "audio", _whisper_encoder)


_POSITIONS_KEPT = {
    "onnx": "the samples axis",
    "aoti": "Constraints violated (samples)",
    "torchscript": "fails on 2 rows: RuntimeError: ",
}
"""It keeps the table of positions that the last length needed."""
_LENGTH_IN_PYTHON = {
    "onnx": "PyTorch gives",
    "aoti": "Constraints violated (samples)",
    "torchscript": "PyTorch gives",
}
"""What it computes depends on the length in a way that neither capture keeps."""
_CONFORMER: dict[str, Any] = {"position_embeddings_type": "rotary", "conv_depthwise_kernel_size": 5}
_AST: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "patch_size": 4,
    "frequency_stride": 4,
    "time_stride": 4,
    "max_length": _MELS,
    "num_mel_bins": _FRAMES,
}
_WHISPER: dict[str, Any] = {
    "vocab_size": 99,
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_layers": 1,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 48,
    "num_mel_bins": _MELS,
    "max_source_positions": _FRAMES // 2,
    "classifier_proj_size": 16,
    "pad_token_id": 0,
    "decoder_start_token_id": 1,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def _wave(
    name: str,
    model: str,
    outputs: Sequence[str] = ("logits",),
    refused: Mapping[str, str] | None = None,
    **values: Any,
) -> Architecture:
    def sampler(
        rows: int, generator: torch.Generator, lengths: Mapping[str, int]
    ) -> dict[str, Tensor]:
        return {"input_values": torch.randn(rows, lengths["samples"], generator=generator)}

    def build() -> ModelSpec:
        axes = {"input_values": {1: ("samples", _SHORTEST, _LONGEST)}}
        module = network(model, **{**_WAVE, **values})
        return describe(name, module, sampler, outputs, axes, {"samples": _USUAL})

    return Architecture(name, "audio", build, refused or {})


def _spectrogram(
    name: str,
    model: str,
    given: str = "input_features",
    outputs: Sequence[str] = ("logits",),
    **values: Any,
) -> Architecture:
    return Architecture(
        name, "audio", lambda: _of_spectrogram(name, network(model, **values), given, outputs)
    )


def _whisper_encoder() -> ModelSpec:
    encoder: Any = network("WhisperModel", **_WHISPER).encoder
    return _of_spectrogram("whisper_encoder", encoder, "input_features", ["last_hidden_state"])


def _of_spectrogram(name: str, module: nn.Module, given: str, outputs: Sequence[str]) -> ModelSpec:
    def sampler(
        rows: int, generator: torch.Generator, lengths: Mapping[str, int]
    ) -> dict[str, Tensor]:
        return {given: torch.randn(rows, _MELS, _FRAMES, generator=generator)}

    return describe(name, module, sampler, outputs)
