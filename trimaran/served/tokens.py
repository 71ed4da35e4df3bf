"""From texts to rows of token numbers: by words and pairs of words, or by a tokenizer's file.

Token 0 is padding, which every network ignores. `Encoding` is what a version's `encoding.json`
holds, so the tokens that a network was trained on are the ones that it is served.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["PADDING", "Encoding", "Tokenizer", "padded", "terms"]

PADDING = 0

_WORD = re.compile(r"\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}]\w+)*|[^\w\s]")


class Tokenizer(Protocol):
    """What turns texts into token numbers."""

    def encode(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        """The tokens of each text, and whether the text has more of them than are kept."""


@dataclass(frozen=True)
class Encoding:
    """How texts become tokens: `kind` is `terms` or `wordpieces`, the network's length is bounded.

    `lengths` ascend: the tokens of a request are padded to the least one that holds them, and a
    longer text is cut to the last one.
    """

    kind: str
    lengths: tuple[int, ...]

    def to_json(self) -> str:
        """The content of `encoding.json`."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Encoding:
        """What `to_json` wrote."""
        data = json.loads(text)
        return cls(data["kind"], tuple(data["lengths"]))

    def tokenizer(self, vocabulary: str) -> Tokenizer:
        """The tokenizer, from the text of the version's `vocabulary.json`."""
        if self.kind == "terms":
            return _Terms(json.loads(vocabulary), self.lengths[-1])
        return _WordPieces(vocabulary, self.lengths[-1])

    def padded(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
        """Rows of tokens as int64 `[rows, length]`, with one of the encoding's lengths."""
        longest = max(map(len, rows), default=0)
        return padded(rows, next(each for each in self.lengths if each >= longest))


def padded(rows: Sequence[Sequence[int]], length: int) -> npt.NDArray[np.int64]:
    """Rows of tokens as int64 `[rows, length]`."""
    array = np.full((len(rows), length), PADDING, np.int64)
    for place, row in enumerate(rows):
        array[place, : len(row)] = row
    return array


def terms(text: str) -> Iterator[str]:
    """The words and symbols of a text in small letters, each pair of neighbours after its first."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    for word, following in zip_longest(words, words[1:]):
        yield word
        if following is not None:
            yield f"{word} {following}"


class _Terms:
    """Known words and pairs of words by their numbers; unknown ones are left out."""

    def __init__(self, numbers: Mapping[str, int], most: int) -> None:
        self.numbers, self.most = numbers, most

    def encode(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        found = [[self.numbers[t] for t in terms(text) if t in self.numbers] for text in texts]
        return [(row[: self.most], len(row) > self.most) for row in found]


class _WordPieces:
    """The library `tokenizers`, by the file that it saves."""

    def __init__(self, saved: str, most: int) -> None:
        import tokenizers

        self.tokenizer = tokenizers.Tokenizer.from_str(saved)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(most)

    def encode(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        found = self.tokenizer.encode_batch(list(texts))
        return [(each.ids, bool(each.overflowing)) for each in found]
