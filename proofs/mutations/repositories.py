"""Small valid repositories to mutate, written without torch; every name has its case's prefix."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from google.protobuf import text_format
from onnx import TensorProto, helper, numpy_helper

from proofs.mutations import configurations as texts
from trimaran.repository.config import ModelConfig, format_config, parse_config
from trimaran.repository.protocol import protocol

__all__ = [
    "GOOD",
    "Draft",
    "Folder",
    "config_of",
    "external_graph",
    "folder_of",
    "good_repository",
    "loadable",
    "merge",
    "model_config_of",
    "package",
    "relu_graph",
    "tensor_of",
    "torchscript",
    "weighted_graph",
]


@dataclass
class Folder:
    """A model's directory to be: a configuration, or any text or bytes for it, and files by path.

    A path that ends in a slash is an empty directory.
    """

    config: ModelConfig | None
    files: dict[str, bytes]
    text: str | None = None
    content: bytes | None = None

    def write(self, directory: Path) -> None:
        """Write it to disk."""
        directory.mkdir(parents=True)
        if self.content is not None:
            (directory / "config.pbtxt").write_bytes(self.content)
        elif self.text is not None or self.config is not None:
            text = format_config(self.config) if self.text is None else self.text
            (directory / "config.pbtxt").write_text(text)
        for name, content in self.files.items():
            path = directory / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@dataclass
class Draft:
    """A repository to be: model directories by name."""

    folders: dict[str, Folder] = field(default_factory=dict)

    def add(self, name: str, text: str, files: dict[str, bytes], prefix: str) -> None:
        """One more model; `@` in its configuration stands for the prefix."""
        config = parse_config(text.replace("@", prefix), name)
        config.name = prefix + name
        self.folders[prefix + name] = Folder(config, dict(files))

    def write(self, root: Path) -> None:
        """Write all of it to disk."""
        for name, folder in self.folders.items():
            folder.write(root / name)

    def ensembles(self) -> Iterator[Folder]:
        """The folders whose configuration has steps."""
        for folder in self.folders.values():
            if folder.config is not None and folder.config.HasField("ensemble_scheduling"):
                yield folder


_WEIGHTS = "weights.bin"


def relu_graph() -> bytes:
    """A graph from `x` to `y`, both `[batch, 4]`, without weights."""
    return _model([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString()


def weighted_graph() -> onnx.ModelProto:
    """The same interface over a product, a sum, a function of ONNX Runtime's and a shape."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"], name="product"),
        helper.make_node("Add", ["product", "b"], ["sum"], name="sum"),
        helper.make_node("Gelu", ["sum"], ["bent"], name="bent", domain="com.microsoft"),
        helper.make_node("Reshape", ["bent", "shape"], ["y"], name="reshape"),
    ]
    model = _model(nodes)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    weights: dict[str, np.ndarray] = {
        "w": np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4),
        "b": np.zeros(4, np.float32),
        "shape": np.array([-1, 4], np.int64),
    }
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in weights.items())
    model.graph.value_info.append(
        helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch", 4])
    )
    return model


def external_graph() -> dict[str, bytes]:
    """The files of the weighted graph with the product's weights in another file."""
    model = weighted_graph()
    tensor = model.graph.initializer[0]
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", _WEIGHTS), ("offset", "0"), ("length", str(len(content)))):
        tensor.external_data.add(key=key, value=value)
    return {"model.onnx": model.SerializeToString(), _WEIGHTS: content}


@cache
def torchscript() -> bytes:
    """An archive of `torch.jit.save` whose module takes and gives `[batch, 4]`."""
    import torch

    torch.manual_seed(0)
    module = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()).eval())
    file = io.BytesIO()
    torch.jit.save(module, file)
    return file.getvalue()


@cache
def package() -> bytes:
    """A package of AOTInductor from `[batch, 8]` to `[batch, 4]`; the cache keeps what it took
    seconds to compile.
    """
    import torch

    from exporters import ModelSpec
    from exporters.formats.aoti import AotiExporter

    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = torch.nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    spec = ModelSpec("linear", Linear(), {"x": torch.zeros(2, 8)}, ["y"])
    with TemporaryDirectory(prefix="trimaran-package-") as scratch:
        path = Path(scratch) / "model.pt2"
        list(AotiExporter("cpu").captures(spec, path))
        return path.read_bytes()


def _model(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 4]) for n in "xy")
    graph = helper.make_graph(nodes, "graph", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


Models = dict[str, tuple[str, dict[str, bytes]]]
"""The text of each model's configuration, and its files by path; the model's name is the key."""


def _labeled() -> Models:
    files = {
        "1/model.py": texts.PYTHON,
        "2/model.py": texts.PYTHON,
        "labels.txt": b"a\nb\nc\n",
        "warmup/x": bytes(16),
        "warmup/text": b"\x03\x00\x00\x00abc",
    }
    return {"labeled": (texts.LABELED, files)}


def _chain() -> Models:
    optional = 'input { name: "note" data_type: TYPE_STRING dims: [ 1 ] optional: true }'
    two = "version_policy { all { } }"
    first = {**_PYTHON, "2/model.py": texts.PYTHON}
    return {
        "first": (texts.PLAIN + optional + two, first),
        "middle": (texts.ONNX, {"1/model.onnx": relu_graph()}),
        "last": (texts.PLAIN.replace("[ 4 ]", "[ -1 ]", 1), _PYTHON),
        "chain": (texts.CHAIN, {"1/": b"", "labels.txt": b"a\nb\nc\nd\n"}),
    }


def _nested() -> Models:
    """Ensembles without batches, one in the other, over steps with and without batches."""
    two = 'input { name: "z" data_type: TYPE_FP32 dims: [ 4 ] }'
    return {
        "many": (texts.PLAIN + "model_transaction_policy { decoupled: true }", _PYTHON),
        "join": (texts.PLAIN.replace("max_batch_size: 8", "") + two, _PYTHON),
        "inner": (texts.INNER, {"1/": b""}),
        "outer": (texts.OUTER, {"1/": b""}),
    }


_PYTHON = {"1/model.py": texts.PYTHON}

GOOD: dict[str, Callable[[], Models]] = {
    "labeled": _labeled,
    "onnx": lambda: {"onnx": (texts.ONNX, {"1/model.onnx": relu_graph()})},
    "plain": lambda: {"plain": (texts.PLAIN, _PYTHON)},
    "sequence": lambda: {"sequence": (texts.SEQUENCE, _PYTHON)},
    "pair": lambda: {
        "first": (texts.PLAIN, _PYTHON),
        "second": (texts.PLAIN, _PYTHON),
        "pair": (texts.PAIR, {"1/": b""}),
    },
    "chain": _chain,
    "graph": lambda: {
        "graph": (texts.ONNX, {"1/model.onnx": weighted_graph().SerializeToString()})
    },
    "external": lambda: {
        "external": (texts.ONNX, {f"1/{name}": part for name, part in external_graph().items()})
    },
    "archive": lambda: {"archive": (texts.ARCHIVE, {"1/model.pt": torchscript()})},
    "package": lambda: {"package": (texts.PACKAGE, {"1/model.pt2": package()})},
    "partial": lambda: {"partial": (texts.PARTIAL, {"1/model.py": texts.COMPLETING})},
    "nested": _nested,
}
"""What makes the models of each good repository."""


def good_repository(name: str, prefix: str) -> Draft:
    """A repository that Triton serves and in which nothing is wrong.

    Every model's name begins with `prefix`, for which `@` stands in the configurations.
    """
    draft = Draft()
    for model, (text, files) in GOOD[name]().items():
        draft.add(model, text, files, prefix)
    return draft


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
