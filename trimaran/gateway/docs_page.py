"""The page at `/docs`: a person types a record, presses a button and reads the answer.

It is one document that needs no other host, and holds nothing about the models: it asks for
`/openapi.json` with the token that the person gives it, and makes the forms of that.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from string import Template

from trimaran.pages.palette import palette

__all__ = ["CONTENT_SECURITY_POLICY", "page"]


@cache
def page() -> str:
    """The HTML document."""
    return Template(_file("html")).substitute(style=_style(), script=_file("js"))


def _file(kind: str) -> str:
    return files("trimaran.gateway").joinpath(f"docs_page.{kind}").read_text(encoding="utf-8")


def _style() -> str:
    return palette() + _file("css")


def _source(content: str) -> str:
    """The source that stands for content within the page: its hash."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src {_source(_file('js'))}",
        f"style-src {_source(_style())}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The header `Content-Security-Policy` of the page: its own script and style, and this host."""
