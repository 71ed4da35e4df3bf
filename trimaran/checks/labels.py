"""Rules for label files, whose lines name the places of an output."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from trimaran.checks.finding import Problems, error, warning
from trimaran.repository.config import ModelConfig
from trimaran.repository.dtypes import describe_shape

__all__ = ["check_labels", "label_files"]


def label_files(config: ModelConfig) -> frozenset[str]:
    """The label files that the outputs name, below the model's directory."""
    return frozenset(item.label_filename for item in config.output if item.label_filename)


def check_labels(config: ModelConfig, lines: Mapping[str, int]) -> Problems:
    """Label files that are missing or too short; `lines` has how many lines each has."""
    for item in config.output:
        name, field = item.label_filename, f"output.{item.name}.label_filename"
        if not name:
            continue
        if name not in lines:
            yield error(
                field,
                f"label file {name} is missing",
                "put it next to config.pbtxt in the model's directory",
            )
        elif item.dims and -1 not in item.dims and lines[name] != prod(item.dims):
            yield warning(
                field,
                f"label file {name} has {lines[name]} lines but output {item.name!r} is "
                f"{describe_shape(item.dims)}",
                "give it one line for every place of the output",
            )
