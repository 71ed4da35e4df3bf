"""A configuration's bytes are read as tritonserver reads them, and what it refuses is named."""

from __future__ import annotations

import pytest

from trimaran.repository.config import parse_config
from trimaran.repository.config_text import LARGEST_BYTES, decode_config
from trimaran.system.errors import ConfigError

TEXT = 'name: "m"\nmax_batch_size: 8\n'


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (TEXT.encode(), ()),
        (b"# pr\xe9vision\n" + TEXT.encode(), ()),
        ("# prévision\n".encode() + TEXT.encode(), ()),
        (TEXT.encode() + b"# no end \xe9", ()),
        (TEXT.replace("\n", "\r\n").encode(), ()),
        (TEXT.replace("\n", "\r").encode(), ()),
        (TEXT.encode() + b"\f\v\n", ()),
        (TEXT.encode() + b'backend: "pr\xe9"', (3,)),
        (TEXT.encode() + b"backend: 'pr\xe9' # \xe9\nplatform: \"\xe9\"", (3, 4)),
        (TEXT.encode() + b'backend: "a\\"#b" # "\xe9', ()),
        ("backend: 'é'\n".encode() + TEXT.encode(), ()),
    ],
)
def test_what_tritonserver_takes_is_taken(data: bytes, lines: tuple[int, ...]) -> None:
    read = decode_config(data, "here")
    assert read.latin_lines == lines
    config = parse_config(read.text, "here")
    assert (config.name, config.max_batch_size) == ("m", 8)
    assert config.backend in ("", "é", "pré", 'a"#b')


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TEXT.encode("utf-8-sig"), "begins with a byte order mark (UTF-8)"),
        (TEXT.encode("utf-16"), "begins with a byte order mark (UTF-16)"),
        (TEXT.encode("utf-32"), "begins with a byte order mark (UTF-32)"),
        (TEXT.encode("utf-16-le"), "line 1 holds a NUL byte, as UTF-16"),
        (TEXT.encode() + b"# a\0b", "line 3 holds a NUL byte"),
        (TEXT.encode() + b'backend: "a\0b"', "line 3 holds a NUL byte"),
        (TEXT.encode() + b" \xc2\xa0", "line 3, column 2: the byte 0xc2 is outside of strings"),
        (TEXT.encode() + b"\xe9", "line 3, column 1: the byte 0xe9 is outside of strings"),
        (TEXT.encode() + b"\x1c", "line 3, column 1: the byte 0x1c is outside of strings"),
        (TEXT.encode() + b" " * LARGEST_BYTES, "bytes, which is not a model configuration"),
    ],
)
def test_what_tritonserver_refuses_is_named(data: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        decode_config(data, "here")
    assert str(refused.value).startswith("here: ")
    assert said in str(refused.value)
    assert "; " in str(refused.value)
