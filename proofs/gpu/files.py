"""What a machine without a network needs, packed into one folder: wheels, and trimaran's cache.

A machine for GPUs has torch with CUDA and the usual packages. The folder has what it lacks: the
clients of Triton, the embedded tritonserver with the stub of one Python, and one network's weights.
Everything is fetched by its hash on the machine that packs; the receiver trusts the folder.
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from proofs.gpu.machine import CACHE, WHEELS
from trimaran.serving.runtime import SERVER_WHEEL
from trimaran.serving.stubs import numpy_wheel
from trimaran.system.downloads import Wheel, call_pip, fetch
from trimaran.system.errors import TrimaranError
from trimaran.training.efficientnet_lite0 import WEIGHTS
from trimaran.training.image_data import LABEL_NAMES, LABELS, PHOTOGRAPH_NAMES, PHOTOGRAPHS

__all__ = ["LIMIT_MB", "pack", "require_small"]

LIMIT_MB = 59
"""The most that the folder may hold; the project's own files come on top."""

_PLATFORMS = tuple(f"--platform=manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28))

_FILTERS = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 9}]
"""For native code."""


def pack(folder: Path, python: str, say: Callable[[str], None]) -> None:
    """Fill `folder` for an interpreter such as `3.12`. Raises `TrimaranError` where it gets large.

    What lies there already is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    say("wheels")
    call_pip(
        "download",
        "--quiet",
        "--no-deps",
        f"--python-version={python}",
        "--implementation=cp",
        *_PLATFORMS,
        "--platform=manylinux2014_x86_64",
        "--platform=manylinux1_x86_64",
        "--constraint=constraints.txt",
        f"--dest={folder}",
        *WHEELS,
    )
    if not (folder / CACHE).is_file():
        say(f"{CACHE}, which takes a minute or two")
        with TemporaryDirectory(dir=folder, prefix=".packing-") as scratch:
            packed = Path(scratch) / CACHE
            _pack_cache(packed, python)
            packed.replace(folder / CACHE)
    require_small(folder)


def require_small(folder: Path) -> float:
    """The folder's size in MB. Raises `TrimaranError` where it is larger than `LIMIT_MB`."""
    size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    if size > LIMIT_MB:
        raise TrimaranError(
            f"{folder} has {size:.0f} MB, and {LIMIT_MB} MB may travel; remove from it what "
            "this command did not put there"
        )
    return size


def _pack_cache(target: Path, python: str) -> None:
    """An archive of the cache's folder `unpacked`, with the files that the proof reads."""
    parts: list[tuple[Wheel, Callable[[str], bool]]] = [
        (SERVER_WHEEL, lambda name: _is_served_with(name, python)),
        (numpy_wheel(python), lambda name: "/tests/" not in name and "/_simd." not in name),
        (WEIGHTS, lambda name: name.endswith(".pth")),
        (LABELS, lambda name: Path(name).name in LABEL_NAMES),
        (PHOTOGRAPHS, lambda name: Path(name).name in PHOTOGRAPH_NAMES),
    ]
    with (
        lzma.open(target, "wb", filters=_FILTERS) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as packed,
    ):
        for wheel, wanted in parts:
            _add(packed, wheel, wanted)


def _add(packed: tarfile.TarFile, wheel: Wheel, wanted: Callable[[str], bool]) -> None:
    with zipfile.ZipFile(fetch(wheel)) as archive:
        for item in archive.infolist():
            if item.is_dir() or not wanted(item.filename):
                continue
            entry = tarfile.TarInfo(f"unpacked/{wheel.unpacked_name}/{item.filename}")
            entry.size, entry.mode = item.file_size, 0o755 if ".so" in item.filename else 0o644
            with archive.open(item) as content:
                packed.addfile(entry, content)


def _is_served_with(name: str, python: str) -> bool:
    """Whether a server with the stub of one Python needs a file of the server's wheel."""
    stubs = "pytriton/tritonserver/python_backend_stubs/"
    if name.startswith(stubs):
        return name.startswith(f"{stubs}{python}/")
    places = ("pytriton/tritonserver/", "nvidia_pytriton.libs/")
    return name.startswith(places) and not Path(name).name.startswith("libpython")
