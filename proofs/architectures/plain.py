"""Networks that are written in PyTorch alone: classifiers, recurrent ones, and other layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from exporters.spec import ModelSpec
from proofs.architectures.architecture import Architecture, randomise
from trimaran.training.efficientnet_lite0 import IMAGE_SIZE, EfficientNetLite0
from trimaran.training.tabular.learning.hyperparameters import Hyperparameters
from trimaran.training.tabular.learning.networks import build_network
from trimaran.training.tabular.tasks.heads import ThresholdClassifier

__all__ = ["architectures"]


def architectures() -> Iterator[Architecture]:
    """One per kind of layer, input or output that a network may have."""
    for name, build in (
        ("efficientnet_lite0", _efficientnet),
        ("vgg16", _vgg16),
        ("tabnet", lambda: _tabular("tabnet")),
        ("tabular_mlp", lambda: _tabular("mlp")),
        ("unet", _unet),
        ("conv3d", _conv3d),
        ("temporal_cnn", _temporal_cnn),
        ("transformer_encoder", _transformer_encoder),
        ("embedding_bags", _embedding_bags),
        ("wide_and_deep", _wide_and_deep),
        ("graph_convolution", _graph_convolution),
        ("spectrum", _spectrum),
        ("autoencoder", _autoencoder),
        ("best_of", _best_of),
    ):
        yield Architecture(name, "plain", build)


def _efficientnet() -> ModelSpec:
    examples = {"image": torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE)}
    return ModelSpec("efficientnet_lite0", randomise(EfficientNetLite0()), examples, ["logits"])


class Vgg16(nn.Module):
    """K. Simonyan and A. Zisserman (2014), configuration D: float32 `[batch, 3, 32, 32]`."""

    def __init__(self, classes: int = 10, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for repeats, factor in ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8)):
            for _ in range(repeats):
                layers += [nn.Conv2d(channels, width * factor, 3, padding=1), nn.ReLU(True)]
                channels = width * factor
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.classifier = nn.Sequential(
            nn.Linear(channels, 64), nn.ReLU(True), nn.Dropout(),
            nn.Linear(64, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, classes),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.pool(self.features(image)), 1))


def _vgg16() -> ModelSpec:
    return ModelSpec("vgg16", randomise(Vgg16()), {"image": torch.randn(2, 3, 32, 32)}, ["logits"])


def _tabular(network: str) -> ModelSpec:
    # With scikit-learn, which takes seconds to import.

    edges = [np.linspace(-1, 1, count) for count in (3, 0, 5, 1)]
    hyper = Hyperparameters(network=network, units=8, hidden=8, members=3)
    torch.manual_seed(0)
    module = ThresholdClassifier(build_network(hyper, edges, 1), 0.5)
    randomise(module.network)
    examples = {"features": torch.randn(16, 4)}
    name = "tabnet" if network == "tabnet" else f"tabular_{network}"
    return ModelSpec(name, module, examples, ["probability", "prediction"])


class UNet(nn.Module):
    """O. Ronneberger et al. (2015), two levels: `[batch, 1, height, width]`, multiples of four."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_twice(1, 4), _twice(4, 8)])
        self.middle = _twice(8, 16)
        self.rise = nn.ModuleList([nn.ConvTranspose2d(16, 8, 2, 2), nn.ConvTranspose2d(8, 4, 2, 2)])
        self.up = nn.ModuleList([_twice(16, 8), _twice(8, 4)])
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        kept = []
        for block in self.down:
            image = block(image)
            kept.append(image)
            image = functional.max_pool2d(image, 2)
        image = self.middle(image)
        for rise, block in zip(self.rise, self.up, strict=True):
            image = block(torch.cat([rise(image), kept.pop()], dim=1))
        scores = self.head(image)
        return {"scores": scores, "mask": scores.argmax(1)}


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(),
    )  # fmt: skip


def _unet() -> ModelSpec:
    return ModelSpec(
        "unet",
        randomise(UNet()),
        {"image": torch.randn(2, 1, 16, 24)},
        ["scores", "mask"],
        dynamic_axes={"image": {2: ("height", 8, 64, 4), 3: ("width", 8, 64, 4)}},
    )


def _conv3d() -> ModelSpec:
    module = nn.Sequential(
        nn.Conv3d(2, 8, 3, padding=1), nn.BatchNorm3d(8), nn.GELU(), nn.MaxPool3d(2),
        nn.Conv3d(8, 8, 3, groups=2), nn.InstanceNorm3d(8), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
    )  # fmt: skip
    module.append(nn.Linear(8, 4))
    module[5] = nn.GroupNorm(2, 8)
    return ModelSpec(
        "conv3d",
        randomise(module),
        {"volume": torch.randn(2, 2, 8, 12, 12)},
        ["logits"],
        dynamic_axes={"volume": {2: ("depth", 6, 16)}},
    )


class Temporal(nn.Module):
    """Convolutions over a signal with the place of each step, then a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv1d(4, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(8, 8, 3, padding="same"), nn.GELU(), nn.MaxPool1d(3, 2, padding=1),
        )  # fmt: skip
        self.recurrent = nn.GRU(8, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 3)

    def forward(self, signal: Tensor) -> Tensor:
        places = torch.linspace(-1, 1, signal.shape[2], device=signal.device)
        given = torch.cat([signal, places.expand(signal.shape[0], 1, -1)], 1)
        steps, _ = self.recurrent(self.convolutions(given).transpose(1, 2))
        return self.head(steps.mean(1))


def _temporal_cnn() -> ModelSpec:
    return ModelSpec(
        "temporal_cnn",
        randomise(Temporal()),
        {"signal": torch.randn(2, 3, 40)},
        ["logits"],
        dynamic_axes={"signal": {2: ("samples", 8, 100)}},
    )


class Encoder(nn.Module):
    """`nn.TransformerEncoder` with its padding mask: bool input, true where a token is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens: Tensor, *, missing: Tensor) -> Tensor:
        hidden = self.encoder(self.embedding(tokens), src_key_padding_mask=missing)
        return self.head(hidden[:, 0])


def _transformer_encoder() -> ModelSpec:
    def samples(rows: int, seed: int, lengths: dict[str, int] | None = None) -> dict[str, Tensor]:
        length = (lengths or {}).get("sequence", 7)
        generator = torch.Generator().manual_seed(seed)
        ends = torch.randint(1, length + 1, (rows, 1), generator=generator)
        tokens = torch.randint(0, 50, (rows, length), generator=generator)
        return {"missing": torch.arange(length) >= ends, "tokens": tokens}

    return ModelSpec(
        "transformer_encoder",
        randomise(Encoder()),
        samples(2, 0),
        ["logits"],
        dynamic_axes={name: {1: ("sequence", 1, 32)} for name in ("missing", "tokens")},
        samples=samples,
    )


class EmbeddingBags(nn.Module):
    """Bags of one length by sum, mean and largest, as recommenders use them."""

    def __init__(self) -> None:
        super().__init__()
        self.bags = nn.ModuleList(nn.EmbeddingBag(30, 6, mode=m) for m in ("sum", "mean", "max"))
        self.head = nn.Linear(18, 1)

    def forward(self, items: Tensor) -> Tensor:
        return self.head(torch.cat([bag(items) for bag in self.bags], dim=1)).sigmoid()


def _embedding_bags() -> ModelSpec:
    items = torch.arange(14).reshape(2, 7) * 2
    return ModelSpec("embedding_bags", randomise(EmbeddingBags()), {"items": items}, ["score"])


class WideAndDeep(nn.Module):
    """H. Cheng et al. (2016): categories, numbers and flags of several types."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, 4) for size in (7, 11))
        self.deep = nn.Sequential(nn.Linear(8 + 3, 16), nn.PReLU(), nn.Linear(16, 1))
        self.wide = nn.Linear(2, 1)

    def forward(self, category: Tensor, shop: Tensor, numbers: Tensor, flags: Tensor) -> list[Any]:
        first, second = self.embeddings
        deep = torch.cat([first(category.long()), second(shop), numbers.float()], dim=1)
        logit = self.deep(deep) + self.wide(flags.float())
        return [logit.sigmoid().squeeze(1), (logit.squeeze(1), {"sure": logit.abs() > 1})]


def _wide_and_deep() -> ModelSpec:
    examples = {
        "category": torch.tensor([0, 6], dtype=torch.int8),
        "shop": torch.tensor([0, 10], dtype=torch.int32),
        "numbers": torch.randn(2, 3, dtype=torch.float64),
        "flags": torch.tensor([[True, False], [False, True]]),
    }
    outputs = ["probability", "logit", "sure"]
    return ModelSpec("wide_and_deep", randomise(WideAndDeep()), examples, outputs)


class GraphConvolution(nn.Module):
    """T. Kipf and M. Welling (2016) on a dense adjacency, `[batch, nodes, nodes]`."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 8), nn.Linear(8, 3)])

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        adjacency = adjacency + torch.eye(adjacency.shape[1], device=adjacency.device)
        scale = adjacency.sum(-1).rsqrt()
        adjacency = scale.unsqueeze(-1) * adjacency * scale.unsqueeze(-2)
        for layer in self.layers:
            nodes = functional.elu(torch.einsum("bij,bjc->bic", adjacency, layer(nodes)))
        return nodes


def _graph_convolution() -> ModelSpec:
    return ModelSpec(
        "graph_convolution",
        randomise(GraphConvolution()),
        {"nodes": torch.randn(2, 5, 4), "adjacency": torch.rand(2, 5, 5)},
        ["scores"],
        dynamic_axes={
            "nodes": {1: ("nodes_count", 2, 20)},
            "adjacency": {1: ("nodes_count", 2, 20), 2: ("nodes_count", 2, 20)},
        },
    )


class Spectrum(nn.Module):
    """The magnitudes of a short-time Fourier transform, complex on the way."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(32))
        self.head = nn.Linear(17, 3)

    def forward(self, wave: Tensor) -> Tensor:
        frames = wave.unfold(1, 32, 16) * self.window
        return self.head(torch.fft.rfft(frames, dim=-1).abs().log1p().mean(1))


def _spectrum() -> ModelSpec:
    return ModelSpec(
        "spectrum",
        randomise(Spectrum()),
        {"wave": torch.randn(2, 160)},
        ["logits"],
        dynamic_axes={"wave": {1: ("samples", 64, 640)}},
    )


def _autoencoder() -> ModelSpec:
    module = nn.Sequential(
        nn.Conv1d(2, 8, 4, 2, 1), nn.SiLU(), nn.Conv1d(8, 4, 4, 2, 1), nn.Tanh(),
        nn.ConvTranspose1d(4, 8, 4, 2, 1), nn.Hardswish(), nn.Upsample(scale_factor=2),
        nn.Conv1d(8, 2, 3, padding=1),
    )  # fmt: skip
    return ModelSpec(
        "autoencoder",
        randomise(module),
        {"signal": torch.randn(2, 2, 32)},
        ["rebuilt"],
        dynamic_axes={"signal": {2: ("length", 16, 128, 4)}},
    )


class BestOf(nn.Module):
    """The best of many, sorted: integers and scores."""

    def forward(self, scores: Tensor) -> tuple[Tensor, ...]:
        best = torch.topk(scores, 3, dim=1)
        return best.values, best.indices, torch.sort(scores, dim=1, descending=True).values


def _best_of() -> ModelSpec:
    scores = torch.linspace(-1, 1, 24).reshape(2, 12)
    return ModelSpec("best_of", BestOf(), {"scores": scores}, ["best", "place", "in_order"])
