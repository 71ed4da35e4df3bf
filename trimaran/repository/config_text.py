"""The text of a `config.pbtxt` from its bytes, as tritonserver reads them.

Its tokenizer accepts any byte but NUL in comments and strings, and only ASCII elsewhere (protobuf's
`io/tokenizer.cc`; tried with tritonserver 2.51).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from trimaran.system.errors import ConfigError

__all__ = ["LARGEST_BYTES", "ConfigText", "decode_config"]

LARGEST_BYTES = 2**24
"""More than any configuration needs, and still parsed in seconds."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_PIECE = re.compile(
    rb"(?P<comment>#[^\n]*)"
    rb"|(?P<string>\"(?:\\[^\n]|[^\"\\\n])*\"?|'(?:\\[^\n]|[^'\\\n])*'?)"
    rb"|(?P<plain>[\t\n\v\f\r\x20-\x7e])"
    rb"|(?P<foreign>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class ConfigText:
    """A configuration's text; strings in `latin_lines` are not UTF-8 and were read as Latin-1."""

    text: str
    latin_lines: tuple[int, ...] = ()


def decode_config(data: bytes, where: str) -> ConfigText:
    """The text in `data`; `where` names the file in errors.

    Raises `ConfigError` for a byte order mark, a NUL byte, and bytes outside of strings and
    comments that are not ASCII text.
    """
    if len(data) > LARGEST_BYTES:
        raise ConfigError(
            f"{where}: has {len(data)} bytes, which is not a model configuration; write one by "
            f"hand "
            "or with 'trimaran export'"
        )
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            raise ConfigError(
                f"{where}: begins with a byte order mark ({encoding}), which tritonserver does not "
                "read; save it as UTF-8 without a byte order mark"
            )
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise ConfigError(
            f"{where}: line {line} holds a NUL byte, as UTF-16 and binary files do; save it as "
            "UTF-8 text"
        )
    if data.isascii() and not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", data):
        return ConfigText(data.decode("ascii"))
    return _decode_pieces(data, where)


def _decode_pieces(data: bytes, where: str) -> ConfigText:
    parts: list[str] = []
    latin: list[int] = []
    for piece in _PIECE.finditer(data):
        raw = piece.group()
        if piece.lastgroup == "foreign":
            line = data.count(b"\n", 0, piece.start()) + 1
            column = piece.start() - data.rfind(b"\n", 0, piece.start())
            raise ConfigError(
                f"{where}: line {line}, column {column}: the byte 0x{raw[0]:02x} is outside of "
                "strings and comments, where only ASCII is allowed; remove it"
            )
        if piece.lastgroup == "comment":
            parts.append(raw.decode("utf-8", errors="replace"))
            continue
        try:
            parts.append(raw.decode("utf-8"))
        except UnicodeDecodeError:
            latin.append(data.count(b"\n", 0, piece.start()) + 1)
            parts.append(raw.decode("latin-1"))
    return ConfigText("".join(parts), tuple(dict.fromkeys(latin)))
