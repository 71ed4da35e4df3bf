"""Which step each model reached on the way to a served answer, as a Markdown page."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import onnx
import onnxruntime

__all__ = ["Reached", "Result", "counts", "page"]


class Reached(IntEnum):
    """How far a model came; each step is only tried after the one before."""

    FOUND = 0
    COMPUTED = 1
    ADDED = 2
    SERVED = 3
    EQUAL = 4
    IDENTICAL = 5


@dataclass(frozen=True)
class Result:
    """One model: how far it came, and why not further. `answers` counts requests that agreed."""

    name: str
    reached: Reached
    cause: str = ""
    answers: int = 0


_STEPS = (
    (Reached.FOUND, "taken from the `onnx` wheel"),
    (Reached.COMPUTED, "computed by ONNX Runtime in one process"),
    (Reached.ADDED, "taken by `trimaran add`"),
    (Reached.SERVED, "loaded and answered by Triton"),
    (Reached.EQUAL, "answered equally, within 1e-6 of the largest value"),
    (Reached.IDENTICAL, "answered with the very same bytes"),
)


_OPERATORS = "operators."

_CAUSES = (
    ("ai.onnx.preview", "an operator of `ai.onnx.preview`, which ONNX Runtime lacks"),
    ("Could not find an implementation", "ONNX Runtime has no kernel so old, or of that type"),
    ("This is an invalid model", "the operator is not in that opset, or not for that type"),
    ("gives other answers", "it answers at random"),
    (
        "does not support from opset",
        "the target container has no kernel for it, though it reads the opset",
    ),
    ("[0]; the model takes", "its recorded inputs are empty, and made-up ones do not fit together"),
    ("construct locale", "the machine has no locale `en_US.UTF-8`"),
    ("axis of length 0", "a tensor has a fixed axis of length 0, which Triton cannot declare"),
    ("cannot carry", "an input or output is a sequence, an optional, or of a type Triton lacks"),
    ("which Triton does not have", "an input is a sequence or an optional, which Triton lacks"),
    ("has no inputs", "it has no inputs, and a request needs one"),
)
"""What a cause contains, and its summary on the page; others are printed unchanged."""

_INTRODUCTION = (
    "The `onnx` wheel has model files for its backend tests, most of them with recorded inputs. "
    "It also generates tests of single operators; an even selection of those is declared for "
    "the newest opset that the target container reads. Each goes through `trimaran add` into a "
    "repository (the first few by the command itself, the others by the function that it calls), "
    "and through the real server with the replacement of the `onnxruntime` backend. Its answers "
    "are compared with ONNX Runtime called directly in one process. Written by"
)


def counts(results: Sequence[Result]) -> dict[Reached, int]:
    """How many models reached at least each step."""
    return {step: sum(r.reached >= step for r in results) for step, _ in _STEPS}


def page(results: Sequence[Result], command: str) -> str:
    """The full page; `command` is what made it."""
    operators = [r for r in results if r.name.startswith(_OPERATORS)]
    files = [r for r in results if not r.name.startswith(_OPERATORS)]
    in_files, in_operators = counts(files), counts(operators)
    versions = (
        f"onnx {onnx.__version__}, ONNX Runtime {onnxruntime.__version__}, "
        f"Python {platform.python_version()}"
    )
    return "\n".join(
        [
            "# ONNX's own models, served",
            "",
            _INTRODUCTION,
            "",
            f"```\n{command}\n```",
            "",
            f"with {versions}.",
            "",
            "| | model files | operator tests |",
            "|---|---:|---:|",
            *(f"| {text} | {in_files[step]} | {in_operators[step]} |" for step, text in _STEPS),
            "",
            f"{sum(r.answers for r in results)} requests were compared, half of the models over "
            "HTTP and half over gRPC.",
            "",
            *_section("Model files without equal answers", files),
            *_section("Operator tests without equal answers", operators),
        ]
    )


def _section(title: str, results: Sequence[Result]) -> list[str]:
    if not results:
        return []
    lines = [f"## {title}", ""]
    exceptions = _exceptions(results)
    if not exceptions:
        return [*lines, "None.", ""]
    lines += ["| how many | came as far as | cause | which |", "|---:|---|---|---|"]
    for (step, cause), names in exceptions.items():
        which = ", ".join(f"`{name}`" for name in names)
        lines.append(f"| {len(names)} | {step.name.lower()} | {_cell(cause)} | {which} |")
    return [*lines, ""]


def _exceptions(results: Sequence[Result]) -> dict[tuple[Reached, str], list[str]]:
    """Models that did not come back equal, by where they stopped and why."""
    found: dict[tuple[Reached, str], list[str]] = {}
    for result in results:
        if result.reached < Reached.EQUAL:
            cause = next((text for mark, text in _CAUSES if mark in result.cause), result.cause)
            found.setdefault((result.reached, cause), []).append(result.name)
    return dict(sorted(found.items()))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
