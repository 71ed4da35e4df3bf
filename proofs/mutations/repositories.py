"""Small good repositories to mutate, written without torch; every name has its case's prefix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from proofs.mutations import configurations as texts
from proofs.mutations.model_files import external_graph, relu_graph, torchscript, weighted_graph
from trimaran.repository.config import ModelConfig, format_config, parse_config

__all__ = ["GOOD", "Draft", "Folder", "good_repository"]


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
            text = format_config(self.config) if self.text is None else self.text  # type: ignore[arg-type]
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


def _labeled(draft: Draft, prefix: str) -> None:
    files = {
        "1/model.py": texts.PYTHON,
        "2/model.py": texts.PYTHON,
        "labels.txt": b"a\nb\nc\n",
        "warmup/x": bytes(16),
        "warmup/text": b"\x03\x00\x00\x00abc",
    }
    draft.add("labeled", texts.LABELED, files, prefix)


def _onnx(draft: Draft, prefix: str) -> None:
    draft.add("onnx", texts.ONNX, {"1/model.onnx": relu_graph()}, prefix)


def _plain(draft: Draft, prefix: str) -> None:
    draft.add("plain", texts.PLAIN, {"1/model.py": texts.PYTHON}, prefix)


def _sequence(draft: Draft, prefix: str) -> None:
    draft.add("sequence", texts.SEQUENCE, {"1/model.py": texts.PYTHON}, prefix)


def _pair(draft: Draft, prefix: str) -> None:
    for name in ("first", "second"):
        draft.add(name, texts.PLAIN, {"1/model.py": texts.PYTHON}, prefix)
    draft.add("pair", texts.PAIR, {"1/": b""}, prefix)


def _chain(draft: Draft, prefix: str) -> None:
    optional = 'input { name: "note" data_type: TYPE_STRING dims: [ 1 ] optional: true }'
    two = "version_policy { all { } }"
    python = {"1/model.py": texts.PYTHON}
    draft.add("first", texts.PLAIN + optional + two, {**python, "2/model.py": texts.PYTHON}, prefix)
    draft.add("middle", texts.ONNX, {"1/model.onnx": relu_graph()}, prefix)
    draft.add("last", texts.PLAIN.replace("[ 4 ]", "[ -1 ]", 1), python, prefix)
    draft.add("chain", texts.CHAIN, {"1/": b"", "labels.txt": b"a\nb\nc\nd\n"}, prefix)


def _graph(draft: Draft, prefix: str) -> None:
    files = {"1/model.onnx": weighted_graph().SerializeToString()}
    draft.add("graph", texts.ONNX, files, prefix)


def _external(draft: Draft, prefix: str) -> None:
    files = {f"1/{name}": content for name, content in external_graph().items()}
    draft.add("external", texts.ONNX, files, prefix)


def _archive(draft: Draft, prefix: str) -> None:
    draft.add("archive", texts.ARCHIVE, {"1/model.pt": torchscript()}, prefix)


def _partial(draft: Draft, prefix: str) -> None:
    draft.add("partial", texts.PARTIAL, {"1/model.py": texts.COMPLETING}, prefix)


def _nested(draft: Draft, prefix: str) -> None:
    """Ensembles without batches, one in the other, over steps with and without batches."""
    python = {"1/model.py": texts.PYTHON}
    draft.add("many", texts.PLAIN + "model_transaction_policy { decoupled: true }", python, prefix)
    two = 'input { name: "z" data_type: TYPE_FP32 dims: [ 4 ] }'
    draft.add("join", texts.PLAIN.replace("max_batch_size: 8", "") + two, python, prefix)
    draft.add("inner", texts.INNER, {"1/": b""}, prefix)
    draft.add("outer", texts.OUTER, {"1/": b""}, prefix)


GOOD = {
    "labeled": _labeled,
    "onnx": _onnx,
    "plain": _plain,
    "sequence": _sequence,
    "pair": _pair,
    "chain": _chain,
    "graph": _graph,
    "external": _external,
    "archive": _archive,
    "partial": _partial,
    "nested": _nested,
}
"""What makes each good repository."""


def good_repository(name: str, prefix: str) -> Draft:
    """A repository that Triton serves and in which nothing is wrong."""
    draft = Draft()
    GOOD[name](draft, prefix)
    return draft
