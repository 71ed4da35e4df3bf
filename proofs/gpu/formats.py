"""EfficientNet-Lite0 in every format that this machine can make, served and measured on its GPU.

    python -m proofs.gpu.formats RESULTS FOLDER [--device cuda]

Each format has a repository below `FOLDER` and a server of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from proofs.gpu.machine import memory_mb
from proofs.gpu.results import Served, keep
from trimaran.repository.repository import Repository
from trimaran.serving.runtime import find_runtime
from trimaran.serving.server import private_server
from trimaran.system.errors import TrimaranError

__all__ = ["BENCH", "EXPORT", "FORMATS", "main"]

FORMATS = ("torchscript", "onnx", "aoti", "tensorrt")

EXPORT = ("trimaran", "export", "exporters.efficientnet_lite0:model")
BENCH = ("--closed", "--connections", "8", "--duration", "5s", "--json")


def main(arguments: Sequence[str] | None = None) -> None:
    """Export, serve and measure each format, and go on where one is refused."""
    parser = argparse.ArgumentParser(prog="python -m proofs.gpu.formats", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args(arguments)
    for format in FORMATS:
        print(format, flush=True)
        try:
            found = _measured(format, given.folder / format, given.device)
        except TrimaranError as error:
            found = Served(format, refused=str(error))
        keep(given.results, found)


def _measured(format: str, root: Path, device: str) -> Served:
    for_device = ("--device", device) if format == "aoti" else ()
    _called(*EXPORT, "--format", format, *for_device, "--repository", str(root))
    repository = Repository(root)
    (model,) = repository.names()
    before_mb = memory_mb()
    with private_server(find_runtime(), repository, [model]) as server:
        ports = server.ports
        address = ("--host", ports.host, f"--http-port={ports.http}", f"--grpc-port={ports.grpc}")
        report = _called("trimaran", "bench", model, *BENCH, *address)
        took_mb = memory_mb() - before_mb
    (run,) = json.loads(report)["runs"]
    if run["invalid"]:
        raise TrimaranError(f"the load is invalid: {run['invalid']}")
    latency_ms = run["latency_ms"]
    return Served(format, "", run["rate"], latency_ms["p50"], latency_ms["p99"], took_mb)


def _called(*command: str) -> str:
    """What a command prints. Raises `TrimaranError` with the error that it ends with."""
    ended = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        said = [line for line in ended.stderr.splitlines() if line.strip()]
        raise TrimaranError(
            said[-1].removeprefix("error: ") if said else f"it ended with status {ended.returncode}"
        )
    return ended.stdout


if __name__ == "__main__":
    main()
