"""A machine for GPUs: what it lacks, what it has, and its GPU with the versions around it."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys

from trimaran.system.errors import TrimaranError

__all__ = ["CACHE", "ON_MACHINE", "WHEELS", "facts", "memory_mb"]

WHEELS = (
    *("tritonclient", "geventhttpclient", "gevent", "greenlet", "zope-event", "zope-interface"),
    *("brotli", "python-rapidjson", "orjson", "prometheus-client"),
    *("typer", "annotated-doc", "pydantic", "pydantic-core", "annotated-types"),
    "typing-inspection",
)
"""The packages that a machine with torch for CUDA may lack, in the versions of constraints.txt."""

ON_MACHINE = (
    *("torch", "numpy", "onnx", "onnx-ir", "onnxruntime", "onnxscript", "pillow", "pandas"),
    *("protobuf", "grpcio", "packaging", "rich", "matplotlib", "jinja2"),
    *("pytest", "pytest-xdist", "hypothesis"),
)
"""The packages that it has; `WHEELS` are added to them."""

CACHE = "cache.tar.xz"
"""The file next to the wheels that has the part of trimaran's cache that the proof reads."""

_REMEDY = "run this on a machine with an NVIDIA GPU, torch for CUDA and Python 3.12"
_TORCH = """\
import json, torch
from torch.utils.cpp_extension import CUDA_HOME
found = torch.cuda.is_available()
print(json.dumps({"torch": torch.__version__, "CUDA of torch": torch.version.cuda or "none",
    "compute capability": "%d.%d" % torch.cuda.get_device_capability() if found else "",
    "CUDA's toolkit": CUDA_HOME or "none"}))
"""


def facts() -> dict[str, str]:
    """The GPU, its driver, and the versions of torch, CUDA and Python.

    Raises `TrimaranError` where there is no GPU, or no torch that finds it.
    """
    if shutil.which("nvidia-smi") is None:
        raise TrimaranError(f"this machine has no nvidia-smi, so no NVIDIA GPU; {_REMEDY}")
    name, driver, memory = _query("name,driver_version,memory.total")
    said = subprocess.run(
        [sys.executable, "-c", _TORCH], capture_output=True, text=True, check=False
    )
    if said.returncode != 0:
        raise TrimaranError(f"{sys.executable} has no torch; {_REMEDY}")
    torch = json.loads(said.stdout)
    if not torch["compute capability"]:
        raise TrimaranError(f"torch {torch['torch']} of {sys.executable} finds no GPU; {_REMEDY}")
    return {
        "GPU": f"{name}, {memory}",
        "driver": driver,
        **torch,
        "Python": platform.python_version(),
    }


def memory_mb() -> float:
    """What is in use of the first GPU's memory, in MiB; 0 without a GPU."""
    if shutil.which("nvidia-smi") is None:
        return 0.0
    (used,) = _query("memory.used")
    return float(used.removesuffix("MiB"))


def _query(fields: str) -> list[str]:
    """What `nvidia-smi` says of the first GPU."""
    said = subprocess.run(
        ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode != 0 or not said.stdout.strip():
        raise TrimaranError(f"nvidia-smi finds no GPU here; {_REMEDY}")
    return [value.strip() for value in said.stdout.splitlines()[0].split(",")]
