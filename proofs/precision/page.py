"""The page of figures by precision."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

__all__ = ["Row", "ServedRow", "page"]

_PACKAGES = ("torch", "onnxruntime", "onnx", "numpy")


@dataclass(frozen=True)
class Row:
    """One export that was tried: what it costs and keeps, or why it was refused.

    `speeds` are times as fast as FP32, by rows in a call. `missed` is true where nothing but the
    share of decisions kept it from being published; `dependence` says what batching would do.
    """

    model: str
    variant: str
    capture: str = ""
    agreement: str = ""
    size: int = 0
    speeds: tuple[str, ...] = ()
    refusal: str = ""
    missed: bool = False
    dependence: str = ""

    def __str__(self) -> str:
        return f"{self.model} {self.variant}: {self.refusal or self.agreement or 'published'}"


@dataclass(frozen=True)
class ServedRow:
    """One output of a served INT8 model, compared with this process and with FP32."""

    model: str
    output: str
    rows: int
    gap: float
    """The largest difference between the served answer and the one in this process."""
    beside_fp32: str


def page(rows: Sequence[Row], served: Sequence[ServedRow]) -> str:
    """The page as Markdown."""
    return _HEAD + "\n".join(
        [
            *_exports(rows),
            *_refusals(rows),
            *_dependences(rows),
            *_served(served),
            _machine(),
            "",
        ]
    )


def _exports(rows: Sequence[Row]) -> list[str]:
    lines = []
    for model in dict.fromkeys(row.model for row in rows):
        mine = [row for row in rows if row.model == model]
        size = next((r.size for r in mine if r.variant == "onnx fp32"), 0)
        lines += [
            f"## {model}",
            "",
            "| export | made by | agrees with FP32 | MB | size / ONNX FP32 | "
            "times as fast, one row | times as fast, 8 rows |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in mine:
            if row.refusal and not row.agreement:
                lines.append(f"| {row.variant} | refused (below) | | | | | |")
                continue
            share = f"{row.size / size:.0%}" if row.size and size else ""
            megabytes = f"{row.size / 1e6:.2f}" if row.size else "refused (below)"
            one, eight = (*row.speeds, "", "")[:2]
            lines.append(
                f"| {row.variant} | {row.capture} | {row.agreement or 'parity'} | {megabytes} | "
                f"{share} | {one} | {eight} |"
            )
        lines.append("")
    return lines


def _refusals(rows: Sequence[Row]) -> list[str]:
    refused = [row for row in rows if row.refusal]
    if not refused:
        return []
    lines = ["## What was refused, and why", "", "| model | export | reason |", "|---|---|---|"]
    for row in refused:
        reason = row.refusal.replace("|", "\\|").removeprefix(f"model {row.model}: ")
        lines.append(f"| {row.model} | {row.variant} | {reason} |")
    return [*lines, ""]


def _dependences(rows: Sequence[Row]) -> list[str]:
    found = [row for row in rows if row.dependence]
    if not found:
        return []
    lines = [
        "## Dynamic INT8, batched anyway",
        "",
        "The artifact that may only be served one row at a time, run in this process in a batch "
        "whose other rows are sixteen times as large:",
        "",
    ]
    return [*lines, *(f"- {row.model}: {row.dependence}." for row in found), ""]


def _served(served: Sequence[ServedRow]) -> list[str]:
    if not served:
        return []
    lines = [
        "## Served by tritonserver",
        "",
        "INT8 and FP32 at the same time, with the gate's rows over HTTP.",
        "",
        "| model | output | rows | served and in this process, largest difference | "
        "served INT8 compared with served FP32 |",
        "|---|---|---|---|---|",
        *(f"| {r.model} | {r.output} | {r.rows} | {r.gap:.2g} | {r.beside_fp32} |" for r in served),
    ]
    return [*lines, ""]


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    features = _cpu_features()
    return (
        f"{os.cpu_count()} cores{features}, {versions}, Python {platform.python_version()}, "
        f"{time.strftime('%Y-%m-%d')}."
    )


def _cpu_features() -> str:
    """The instructions of this processor that low precision is computed with."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return ""
    known = ("avx2", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
    found = [flag for flag in known if flag in flags]
    return f" with {', '.join(found)}" if found else ""


_HEAD = """# Precision: what lower precision costs and keeps

```
make train                                                # the churn model, once
.venv/bin/python -m proofs.precision --output docs/precision.md
```

makes this page: every export below is tried, verified, measured, and INT8 is served by a real \
`tritonserver` along with FP32.

`trimaran export FACTORY --format onnx --precision int8` publishes `<model>_onnx_int8` next to \
`<model>_onnx`, with the same inputs and outputs in FP32, so that an ensemble can take either.

- **fp16, bf16**: the module is copied, converted, and wrapped so that floating tensors are cast \
on the way in and out; every format captures that wrapper. On a CPU they save space; they save \
time on a GPU, and where the processor has the instructions.
- **int8 static**, the default: ranges come from calibration rows (the model's own samples, or \
`--calibration rows.npz`). If the gate refuses it, the first eighth, quarter and half of the nodes \
are kept in FP32, one after the other: the first layers do most of the harm.
- **int8 dynamic**: ranges are measured while the model runs, over the batch. One request's \
numbers then change another's answer when they are batched together, so this is refused unless \
`--max-batch-size 1` prevents batches.

**The gate** checks decisions. The highest class must be FP32's in 99 % of the decisions, of \
integers and booleans 99 % of the rows must be equal, and any other number must be within a \
tolerance that fits the precision (10 % of itself plus 10 % of the output's root mean square for \
int8, 5 % for bf16, 1 % for fp16) or within the model's own `tolerances`. The gate tries 256 \
rows, other than those used for calibration. `--agreement 0.95` lowers the 99 %, and the manifest \
records both figures.

**TensorRT**: `--format tensorrt` builds a raw `model.plan` on the machine that has the GPU, in \
any precision; the network is strongly typed, so FP16 and BF16 come from the wrapper's casts and \
INT8 from the pairs of QuantizeLinear and DequantizeLinear. A plan fits one model of GPU and one \
version of TensorRT; the manifest names both. `--format onnx --accelerator tensorrt` leaves the \
building to the server instead: the `onnxruntime` backend makes engines when it loads the model \
on a GPU, and on a CPU it serves the same files without. Neither is measured below, since this \
machine has no GPU.

Speed is the median ratio over 15 alternating rounds in one process, with its 95 % interval; above \
1 is faster than the FP32 artifact of the same format. Formats are compared in a server, by \
`trimaran optimize` and `trimaran bench`: two runtimes in one process take the cores from one \
another.

"""
