"""The colours of all pages, for readers of light and of dark ones."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["palette"]


def palette() -> str:
    """A style sheet of variables: `--paper`, `--ink`, `--error` and others."""
    return files("trimaran.pages").joinpath("palette.css").read_text(encoding="utf-8")
