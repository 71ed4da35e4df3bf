"""The entries of a package of AOTInductor, sound by its structure, without any code."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping

CODE = "m/data/aotinductor/model/c"
FACTS = {"AOTI_DEVICE_KEY": "cpu", "AOTI_MACHINE": platform.machine(), "AOTI_CPU_ISA": ""}


def package_entries(facts: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """By name; `facts` are added to the metadata."""
    return {
        "m/archive_format": b"pt2",
        "m/archive_version": b"0",
        f"{CODE}.wrapper.so": b"\x7fELF",
        f"{CODE}.wrapper.cpp": b"//",
        f"{CODE}.wrapper_metadata.json": json.dumps({**FACTS, **(facts or {})}).encode(),
    }
