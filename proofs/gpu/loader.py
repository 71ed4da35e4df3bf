"""Bare packages of AOTInductor, compiled and opened by torch alone, one option at a time.

    python -m proofs.gpu.loader RESULTS [--device cuda]

Each is compiled in a process of its own, and opened in two new ones. If a signal ends the first
one's, a debugger's words on where go into a file `.trace` next to `RESULTS`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from proofs.gpu.results import Opened, keep

__all__ = ["VARIANTS", "Variant", "main"]

HELD = "held"
_CORES = len(os.sched_getaffinity(0))
_LONGEST_S = 80.0
_FRAMES = 16
_LIBRARIES = "cuda|c10|torch|stdc"


@dataclass(frozen=True)
class Variant:
    """What differs from a linear layer that is compiled for the GPU with torch's own options."""

    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    has_weights: bool = True
    is_called: bool = True


VARIANTS: Mapping[str, Variant] = {
    "torch's own options": Variant(),
    "the same, for the CPU": Variant(device="cpu"),
    "`cpp.dynamic_threads`": Variant({"cpp.dynamic_threads": True}),
    "`cpp.threads`": Variant({"cpp.threads": _CORES}),
    "`aot_inductor.check_lowerbound` off": Variant({"aot_inductor.check_lowerbound": False}),
    "`aot_inductor.metadata`": Variant({"aot_inductor.metadata": {"KEY": "value"}}),
    "opened with `NVIDIA_TF32_OVERRIDE=0`": Variant(environment={"NVIDIA_TF32_OVERRIDE": "0"}),
    "no weights": Variant(has_weights=False),
    "weights by torch's allocator": Variant({"aot_inductor.weight_use_caching_allocator": True}),
    "weights left out, not called": Variant(
        {"aot_inductor.package_constants_in_so": False}, is_called=False
    ),
}
"""The first is the one that the others are compared with."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Compile and open all, as many at once as there are cores."""
    parser = argparse.ArgumentParser(prog="python -m proofs.gpu.loader", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--compile", metavar="VARIANT", help=argparse.SUPPRESS)
    parser.add_argument("--open", choices=("ours", "torchs"), help=argparse.SUPPRESS)
    parser.add_argument("--call", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.compile:
        _compile(VARIANTS[given.compile], given.device, given.results)
    elif given.open:
        _open(given.results, given.device, ours=given.open == "ours", called=given.call)
    else:
        with TemporaryDirectory() as scratch, ThreadPoolExecutor(_CORES) as threads:
            tried = [
                threads.submit(_try, what, variant, given.device, Path(scratch) / str(place))
                for place, (what, variant) in enumerate(VARIANTS.items())
            ]
            for one in tried:
                keep(given.results, one.result())
            if tried[0].result().ours.startswith("SIG"):
                _trace(Path(scratch) / "0", given.device, given.results.with_suffix(".trace"))


def _try(what: str, variant: Variant, device: str, scratch: Path) -> Opened:
    scratch.mkdir()
    package, on = scratch / "model.pt2", variant.device or device
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(scratch), "TRITON_CACHE_DIR": str(scratch)}
    compiled = _ended([*_self(package, on), "--compile", what], caches)
    if compiled != HELD:
        return Opened(what, compiled)
    call = ["--call"] if variant.is_called else []
    opened = [
        _ended([*_self(package, on), "--open", way, *call], variant.environment)
        for way in ("ours", "torchs")
    ]
    return Opened(what, compiled, *opened)


def _self(package: Path, device: str) -> list[str]:
    return [sys.executable, "-m", __spec__.name, str(package), "--device", device]


def _ended(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """How a process ended: held, or the signal or the last line that it wrote."""
    try:
        ended = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {_LONGEST_S:.0f} s"
    if ended.returncode == 0:
        return HELD
    said = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    last = said[-1][:200] if said else "it said nothing"
    if ended.returncode < 0:
        return f"{signal.Signals(-ended.returncode).name}: {last}"
    return last


def _compile(variant: Variant, device: str, package: Path) -> None:
    import torch

    torch.manual_seed(0)
    module = torch.nn.Linear(8, 4) if variant.has_weights else torch.nn.ReLU()
    x = torch.ones(2, 8, device=device)
    program = torch.export.export(module.eval().to(device), (x,))
    torch._inductor.aoti_compile_and_package(
        program, package_path=str(package), inductor_configs=dict(variant.options)
    )


def _open(package: Path, device: str, *, ours: bool, called: bool) -> None:
    import torch

    x = torch.ones(2, 8, device=device)
    if ours:
        index = -1 if device == "cpu" else 0
        loader = torch._C._aoti.AOTIModelPackageLoader(str(package), "model", False, 1, index)
        answers = loader.boxed_run([x]) if called else []
    else:
        loaded = torch._inductor.aoti_load_package(str(package))
        answers = loaded(x) if called else []
    if called and not all(torch.isfinite(answer).all() for answer in answers):
        sys.exit("it answers what is not finite")


def _trace(scratch: Path, device: str, to: Path) -> None:
    """Open the package below a debugger, and keep where a signal ends that."""
    debugger = shutil.which("cuda-gdb") or shutil.which("gdb")
    if debugger is None:
        return
    command = [debugger, "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "run"]
    command += ["-ex", f"bt {_FRAMES}", "-ex", f"info sharedlibrary {_LIBRARIES}"]
    try:
        said = subprocess.run(
            [*command, "--args", *_self(scratch / "model.pt2", device), "--open", "ours", "--call"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_LONGEST_S,
        ).stdout
    except subprocess.TimeoutExpired:
        return
    at = said.find("received signal")
    if at >= 0:
        to.write_text(said[said.rfind("\n", 0, at) + 1 :], encoding="utf-8")


if __name__ == "__main__":
    main()
