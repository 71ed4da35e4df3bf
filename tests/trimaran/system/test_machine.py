"""Machines that the embedded Triton does not run on, each refused with a remedy."""

from __future__ import annotations

import platform
import sys

import pytest

from trimaran.system.errors import TrimaranError
from trimaran.system.machine import require_supported_machine


@pytest.mark.parametrize(
    ("system", "machine", "libc", "words"),
    [
        ("linux", "aarch64", ("glibc", "2.36"), r"this is linux on aarch64; run inside NVIDIA's"),
        ("darwin", "arm64", ("", ""), r"this is darwin on arm64; run inside NVIDIA's"),
        ("win32", "AMD64", ("", ""), r"this is win32 on AMD64; use WSL 2"),
        ("linux", "x86_64", ("", ""), r"needs the C library glibc, which .* does not have"),
        ("linux", "x86_64", ("glibc", "2.34"), r"needs glibc 2\.35 or newer, and .* has 2\.34"),
        ("linux", "x86_64", ("glibc", "2.9"), r"needs glibc 2\.35 or newer"),
    ],
)
def test_a_machine_without_the_server_is_reported_with_what_to_do(
    system: str,
    machine: str,
    libc: tuple[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    with pytest.raises(TrimaranError, match=words):
        require_supported_machine()


@pytest.mark.parametrize("version", ["2.35", "2.36", "2.100", "3.0"])
def test_a_newer_library_will_do(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", version))
    require_supported_machine()
