"""The package of a model that AOTInductor compiled (`.pt2`).

All but `open_package` reads it without running any of it.

A package is a zip archive with native code: torch unpacks `data/aotinductor/<model>/` and loads the
shared library in it, which fits one version of torch, one kind of device and one kind of processor.
Metadata next to the library names the last two. `trimaran export` adds the version of torch, the
compiler, and the processor's instructions, since torch compiles with `-march=native`.

Sources: `torch/export/pt2_archive/constants.py` for the layout, `get_device_information` in
`torch/_inductor/codecache.py` for the metadata, and `src/pt2/` of
triton-inference-server/pytorch_backend for what Triton loads: the model named `model`.
"""

from __future__ import annotations

import ctypes
import json
import platform
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from trimaran.repository.model_files.torchscript_archive import DAMAGE, find_bomb, leads_out
from trimaran.system.errors import ArtifactError

__all__ = [
    "COMPILER",
    "DEVICE",
    "FIT_REMEDY",
    "INSTRUCTIONS",
    "TORCH",
    "Machine",
    "find_misfit",
    "generated_source",
    "is_package",
    "made_with",
    "open_package",
    "read_package",
    "this_machine",
]

TORCH, COMPILER, INSTRUCTIONS = "TRIMARAN_TORCH", "TRIMARAN_COMPILER", "TRIMARAN_INSTRUCTIONS"
"""What `trimaran export` adds to torch's own metadata."""

DEVICE = "AOTI_DEVICE_KEY"
"""The kind of device, `cpu` or `cuda`: the one entry that a package must have."""

FIT_REMEDY = "compile it on the machine that serves it, with 'trimaran export --format aoti'"

_CODE = "data/aotinductor/"
_MODEL = f"{_CODE}model/"
_METADATA = "wrapper_metadata.json"
_MOST_METADATA_BYTES = 2**16
_ELF = b"\x7fELF"
_LIBRARY = ".so"
_NATIVE = (_LIBRARY, ".cubin")
_REMEDY = "compile it again with torch._inductor.aoti_compile_and_package"

_VECTORS: Mapping[str, frozenset[str]] = {
    "AVX2": frozenset({"avx2", "fma"}),
    "AVX512": frozenset({"avx512f", "avx512dq", "avx512vl", "avx512bw", "fma"}),
    "AVX512_VNNI": frozenset({"avx512_vnni"}),
    "AMX_TILE": frozenset({"amx_tile"}),
    "ASIMD": frozenset({"asimd"}),
}
"""Torch's names of instruction sets, and what `/proc/cpuinfo` calls their parts."""

_COMPILED = re.compile(
    r"(avx|sse|ssse3|amx|fma|bmi|f16c|aes|vaes|v?pclmulqdq|gfni|sha|movbe|popcnt|abm|adx|xop|"
    r"asimd|sve|sme|fphp|bf16|i8mm|atomics|crc32|fcma|jscvt|lrcpc|dotprod|dit).*"
)
"""The processor flags that stand for instructions which a compiler may choose."""


@dataclass(frozen=True)
class Machine:
    """What a package has to fit.

    `instructions` are the processor's, by their names in `/proc/cpuinfo`. `capability` is the
    GPU's compute capability (`9.0`), and empty where there is no GPU.
    """

    torch: str
    processor: str
    instructions: frozenset[str]
    capability: str = ""


def this_machine(*, with_gpu: bool = False) -> Machine:
    """What a package has to fit here.

    `with_gpu` imports torch, which takes seconds, to look for a GPU.
    """
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        version = ""
    capability = ""
    if with_gpu and version:
        import torch

        if torch.cuda.is_available():
            major, minor = torch.cuda.get_device_capability()
            capability = f"{major}.{minor}"
    return Machine(version, platform.machine(), _instructions(), capability)


def generated_source(path: Path) -> str:
    """The C++ of the call in a sound package, or an empty text where it holds none."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if _inside(name).startswith(_MODEL) and name.endswith(".wrapper.cpp"):
                return archive.read(name).decode("utf-8", errors="replace")
    return ""


def is_package(path: Path) -> bool:
    """Whether a zip archive holds code of AOTInductor; a damaged one does not."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(_inside(name).startswith(_CODE) for name in archive.namelist())
    except DAMAGE:
        return False


def read_package(path: Path, where: str) -> dict[str, str]:
    """The metadata of a package whose structure is sound; `where` names the file in errors.

    Every entry is compared with its checksum. Raises `ArtifactError` for another archive, a
    damaged one, one whose paths lead out of it, and one with native code in another place than
    torch's.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            problem = _find_problem(entries) or find_bomb(entries, path.stat().st_size)
            if problem:
                raise ArtifactError(f"{where}: {problem}; {_REMEDY}")
            damaged = archive.testzip()
            if damaged is not None:
                raise ArtifactError(
                    f"{where}: its entry {damaged!r} is damaged; copy or export the model again"
                )
            wrong = _find_wrong_code(archive)
            if wrong:
                raise ArtifactError(f"{where}: {wrong}; {_REMEDY}")
            return _metadata(archive, where)
    except DAMAGE as error:
        raise ArtifactError(
            f"{where}: is a zip archive that is damaged or cut short: {error}; copy or export it "
            "again"
        ) from error


def find_misfit(facts: Mapping[str, str], machine: Machine) -> str | None:
    """Why code with this metadata must not run on a machine, with both values, or `None`."""
    torch, processor = facts.get(TORCH, ""), facts.get("AOTI_MACHINE", "")
    if torch and _release(torch) != _release(machine.torch):
        return f"was compiled with torch {torch}, and here is torch {machine.torch or 'missing'}"
    if processor and processor != machine.processor:
        return f"was compiled for {processor}, and this machine is {machine.processor}"
    device, capability = facts[DEVICE], _capability(facts)
    if device == "cuda" and capability != machine.capability:
        here = f"this GPU has {machine.capability}" if machine.capability else "here is no GPU"
        return f"was compiled for a GPU of compute capability {capability}, and {here}"
    if device not in ("cpu", "cuda"):
        return f"was compiled for the device {device}, and Triton runs models on cpu and cuda"
    missing = _needed(facts) - machine.instructions
    if missing:
        return (
            f"was compiled for a processor with {facts.get('AOTI_CPU_ISA', '').lower()}, and this "
            f"one lacks {', '.join(sorted(missing))}"
        )
    return None


def _needed(facts: Mapping[str, str]) -> frozenset[str]:
    sets = facts.get("AOTI_CPU_ISA", "").upper().split()
    vectors = (_VECTORS.get(name, frozenset()) for name in sets)
    return frozenset(facts.get(INSTRUCTIONS, "").split()).union(*vectors)


def _release(version: str) -> str:
    """A version without what follows its `+`, the build's kind of device."""
    return version.partition("+")[0]


def _instructions() -> frozenset[str]:
    if sys.platform != "linux":
        return frozenset()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(flag for flag in value.split() if _COMPILED.fullmatch(flag))
    return frozenset()


def _inside(name: str) -> str:
    """An entry's place below the one directory that torch writes."""
    return name.partition("/")[2]


def _find_problem(entries: Sequence[zipfile.ZipInfo]) -> str | None:
    names = [entry.filename for entry in entries]
    if leads_out(names):
        return "is a zip archive with paths that lead out of it"
    if len({name.partition("/")[0] for name in names}) > 1:
        return "is a zip archive with several directories at its top, and torch writes one"
    if len(set(names)) < len(names):
        return "is a zip archive with two entries of one name"
    inside = [_inside(name) for name in names]
    if "archive_format" not in inside or not any(name.startswith(_CODE) for name in inside):
        return "is no package of AOTInductor"
    if not any(name.startswith(_MODEL) for name in inside):
        found = sorted({name.split("/")[2] for name in inside if name.startswith(_CODE)})
        return f"has no model named 'model', which Triton loads, and has {', '.join(found)}"
    libraries = [name for name in inside if _LIBRARY in PurePosixPath(name).suffixes]
    if not any(name.startswith(_MODEL) and name.endswith(_LIBRARY) for name in libraries):
        return "has no shared library for its model"
    stray = [name for name in libraries if PurePosixPath(name).parent != PurePosixPath(_MODEL)]
    if stray:
        return f"holds a shared library in {stray[0]!r}, where torch packs none"
    if len(libraries) > 1:
        return f"holds {len(libraries)} shared libraries, and torch packs one"
    return None


def _find_wrong_code(archive: zipfile.ZipFile) -> str | None:
    """An entry that is native code by its content where torch packs none, or a library of none."""
    for entry in archive.infolist():
        name = _inside(entry.filename)
        with archive.open(entry) as file:
            is_native = file.read(len(_ELF)) == _ELF
        if is_native and not (name.startswith(_MODEL) and name.endswith(_NATIVE)):
            return f"holds native code in {name!r}, where torch packs none"
        if not is_native and name.endswith(_LIBRARY):
            return f"holds no native code in its library {name!r}"
    return None


def _is_metadata(found: object) -> TypeGuard[dict[str, str]]:
    return (
        isinstance(found, dict)
        and DEVICE in found
        and all(isinstance(value, str) for value in found.values())
    )


def _metadata(archive: zipfile.ZipFile, where: str) -> dict[str, str]:
    for entry in archive.infolist():
        name = _inside(entry.filename)
        if name.startswith(_MODEL) and name.endswith(_METADATA):
            if entry.file_size > _MOST_METADATA_BYTES:
                break
            try:
                found = json.loads(archive.read(entry))
            except (UnicodeDecodeError, json.JSONDecodeError):
                break
            if _is_metadata(found):
                return found
            break
    raise ArtifactError(
        f"{where}: has no metadata that says for which device it was compiled; {_REMEDY}"
    )


_MADE_WITH = {
    "torch": TORCH,
    "device": DEVICE,
    "compiler": COMPILER,
    "processor": "AOTI_MACHINE",
    "instruction_set": "AOTI_CPU_ISA",
}


def made_with(facts: Mapping[str, str]) -> dict[str, str]:
    """What a package was compiled with, by a manifest's names, as far as its metadata says it."""
    made = {name: facts[key] for name, key in _MADE_WITH.items() if facts.get(key)}
    capability = _capability(facts)
    return {**made, "compute_capability": capability} if capability else made


def _capability(facts: Mapping[str, str]) -> str:
    """A GPU's compute capability as NVIDIA writes it: `9.0`, where torch writes `90`."""
    written = facts.get("AOTI_COMPUTE_CAPABILITY", "")
    return f"{written[:-1]}.{written[-1]}" if written[1:].isdigit() else written


def open_package(path: Path, device: str) -> Any:
    """Torch's loader of a package, which loads its native code, on `cpu`, `cuda` or `cuda:N`.

    Raises `RuntimeError` with torch's reason.
    """
    import torch

    # A compiler may link a C++ library of its own into the package, whose locales are not this
    # process', which ends it. Where this one is visible to all, the package uses it.
    ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)
    index = -1 if device == "cpu" else torch.device(device).index or 0
    return torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, index)
