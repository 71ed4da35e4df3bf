"""Options that the load tests share: what is sent, and what is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["MaxErrorRatio", "MinRps", "P99Ms", "PayloadsPath"]

PayloadsPath = Annotated[
    Path | None,
    typer.Option(help="Rows to send: .npz, .json, .jsonl, or a directory of files."),
]
P99Ms = Annotated[float | None, typer.Option(help="Promise: p99 within this.")]
MinRps = Annotated[float | None, typer.Option(help="Promise: answers per second.")]
MaxErrorRatio = Annotated[
    float | None, typer.Option(help="Promise: at most this share of requests fails.")
]
