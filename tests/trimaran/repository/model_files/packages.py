"""Packages of AOTInductor: entries without any code, and copies of a genuine one that differ."""

from __future__ import annotations

import json
import platform
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

CODE = "m/data/aotinductor/model/c"
LEAF = {"type": None, "context": None, "children_spec": []}
ONE = {"type": "builtins.tuple", "context": "null", "children_spec": [LEAF]}
NONE = {"type": "builtins.dict", "context": "[]", "children_spec": []}
CALL = {"type": "builtins.tuple", "context": "null", "children_spec": [ONE, NONE]}
SOURCE = f"""
in_spec_ = R"({json.dumps([1, CALL])})";
out_spec_ = R"({json.dumps([1, ONE])})";
"""
"""As torch generates it for a `forward` from one tensor to a tuple of one."""

FACTS = {"AOTI_DEVICE_KEY": "cpu", "AOTI_MACHINE": platform.machine(), "AOTI_CPU_ISA": ""}


def package_entries(facts: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """By name; `facts` are added to the metadata."""
    return {
        "m/archive_format": b"pt2",
        "m/archive_version": b"0",
        f"{CODE}.wrapper.so": b"\x7fELF",
        f"{CODE}.wrapper.cpp": SOURCE.encode(),
        f"{CODE}.wrapper_metadata.json": json.dumps({**FACTS, **(facts or {})}).encode(),
    }


def altered(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Write a copy of a package, with each entry's content as `change` gives it by its name."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target
