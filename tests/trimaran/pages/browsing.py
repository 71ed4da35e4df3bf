"""What a browser makes of a page: its tags, and whether it needs anything from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br"}


class Tags(HTMLParser):
    """What a browser would see: tags, attributes and the balance of the tree."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(html: str) -> Tags:
    tags = Tags(html)
    assert tags.open == []
    assert "script" not in tags.tags
    assert all(re.match(r"#|data:image/(png|jpeg);base64,", ref) for ref in tags.references)
    assert "://" not in html
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    return tags
