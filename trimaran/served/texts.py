"""What a text may be: one policy, for training and for serving.

| found | result |
|---|---|
| more bytes than allowed | refused, before anything reads them |
| bytes that are no UTF-8 | refused, with the first wrong byte |
| nothing visible: no bytes, spaces, control characters | refused |
| control and format characters, NUL and zero-width joiners among them | removed |
| tabs, line breaks and other spaces | one space each |
| everything else, such as emoji and mixed scripts | kept for the tokenizer |
"""

from __future__ import annotations

import unicodedata

from trimaran.served.refusal import RefusedError

__all__ = ["MOST_BYTES", "cleaned", "read_text"]

MOST_BYTES = 100_000

_REMOVED = {"Cc", "Cf"}


def read_text(data: bytes, most_bytes: int = MOST_BYTES) -> str:
    """The text in a client's bytes, `cleaned`. Raises `RefusedError` as the table says."""
    if len(data) > most_bytes:
        raise RefusedError(f"has {len(data):,} bytes, and {most_bytes:,} are the most; shorten it")
    try:
        text = cleaned(data.decode())
    except UnicodeDecodeError as error:
        raise RefusedError(
            f"is no UTF-8: byte {error.start} is 0x{data[error.start]:02x}; encode it as UTF-8"
        ) from error
    if not text:
        raise RefusedError("has no visible character; send at least one word")
    return text


def cleaned(text: str) -> str:
    """Without control and format characters, and with plain spaces, none of them at an end."""
    if not text.isprintable():
        text = "".join(map(_plain, text))
    return text.strip()


def _plain(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _REMOVED else character
