"""The platform `torch_aoti`: names, counts and devices that a package of AOTInductor has.

Source: `src/pt2/` of triton-inference-server/pytorch_backend.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from trimaran.checks.backends import AOTI
from trimaran.checks.facts import Package
from trimaran.checks.finding import Problems, error
from trimaran.repository.config import DEVICE_KINDS, ModelConfig
from trimaran.repository.model_files.call_specification import INPUT_NAME, RESULT_NAME
from trimaran.repository.protocol import protocol

__all__ = ["check_contents", "check_package"]


def check_package(config: ModelConfig) -> Problems:
    """Names that the platform `torch_aoti` does not have, and what it does not do."""
    for kind, items, pattern, form in (
        ("input", config.input, INPUT_NAME, "INPUT__0"),
        ("output", config.output, RESULT_NAME, "OUTPUT__0"),
    ):
        for item in items:
            if not pattern.fullmatch(item.name):
                yield error(
                    f"{kind}.{item.name}.name",
                    f"{kind} {item.name!r} has a name that {AOTI} does not have, which goes by "
                    "position",
                    f"name the {kind}s {form} and so on, in the order of forward",
                )
        numbers = [item.name.partition("__")[2] for item in items if "__" in item.name]
        if kind == "input" and len(numbers) == len(items):
            missing = set(map(str, range(len(items)))) - set(numbers)
            if missing:
                yield error(
                    "input",
                    f"the inputs are {', '.join(item.name for item in items)}, without number "
                    f"{min(missing)}",
                    "number all of them from 0",
                )
    for field in ("control_input", "state"):
        if getattr(config.sequence_batching, field):
            yield error(
                f"sequence_batching.{field}",
                f"sequence_batching has {field}, which {AOTI} counts as an input that is missing",
                "remove it, or serve the model as ONNX",
            )


def check_contents(config: ModelConfig, package: Package, where: str) -> Problems:
    """What a configuration says otherwise than the package in the file `where`."""
    if package.inputs is not None and package.results is not None:
        yield from _check_names("output", config.output, RESULT_NAME, package.results, where)
        yield from _check_names("input", config.input, INPUT_NAME, package.inputs, where)
        yield from _check_count([item.name for item in config.input], package.inputs, where)
    for index, group in enumerate(config.instance_group):
        if group.kind in DEVICE_KINDS.values() and group.kind != DEVICE_KINDS[package.device]:
            kind = protocol.ModelInstanceGroup.Kind.Name(group.kind)
            yield error(
                f"instance_group[{index}].kind",
                f"{where} was compiled for {package.device}, and an instance is {kind}",
                "correct the kind, or compile it for that device",
                where,
            )


def _check_names(
    kind: str,
    items: Iterable[protocol.ModelInput | protocol.ModelOutput],
    form: re.Pattern[str],
    places: Sequence[str],
    where: str,
) -> Problems:
    known = _known(kind, places)
    for item in items:
        if form.fullmatch(item.name) and item.name not in known:
            yield error(
                f"{kind}.{item.name}.name",
                f"{where} has no {kind} {item.name!r}",
                f"name one of {', '.join(known)}",
                where,
            )


def _check_count(names: Sequence[str], places: Sequence[str], where: str) -> Problems:
    known = _known("input", places)
    if not set(names) <= set(known):
        return
    if sorted(known.index(name) % len(places) for name in names) != [*range(len(places))]:
        yield error(
            "input",
            f"{where} takes {', '.join(known[: len(places)])}, and the inputs are "
            f"{', '.join(names) or 'none'}",
            "configure each once",
            where,
        )


def _known(kind: str, places: Sequence[str]) -> list[str]:
    """Both names of each tensor: all by number, and then all by place."""
    return [*(f"{kind.upper()}__{number}" for number in range(len(places))), *places]
