"""What a lower precision is compared with: answers to rows of the task, and the FP32 artifact."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import torch

from exporters.formats.exporter import Exporter, ExportError
from exporters.formats.program import captured_once
from exporters.original import Original
from exporters.parity import Arrays
from exporters.precision.agreement import Answered
from exporters.samples import draw_samples
from exporters.torch_state import quiet
from trimaran.system.files import temporary_directory

__all__ = ["GATE_ROWS", "Reference", "drawn_rows", "reference_for"]

GATE_ROWS = 256
_GATE_SEED = 715_517
_LARGEST_BATCH = 32


class Reference:
    """An original with what several exports of it share; each part is made when first needed."""

    def __init__(self, original: Original, directory: Path) -> None:
        self.original = original
        self._directory = directory

    @cached_property
    def task(self) -> Answered:
        """256 rows of the task, in batches, and what the FP32 module answers to each batch.

        They are the model's own samples where it has any, and drawn from its examples otherwise.
        """
        largest = min(_LARGEST_BATCH, self.original.max_batch_size)
        batches = drawn_rows(self.original, GATE_ROWS, largest, _GATE_SEED)
        return Answered(batches, tuple(self._answers(batch) for batch in batches))

    def fp32_artifact(self, exporter: Exporter) -> Path:
        """The FP32 artifact of a format, not published. Raises `ExportError` if there is none."""
        path = self._directory / exporter.format / exporter.file_name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            if next(exporter.captures(self.original.spec, path), None) is None:
                raise ExportError(f"model {self.original.spec.name}: nothing was captured")
        return path

    def keep_fp32_artifact(self, exporter: Exporter, path: Path) -> None:
        """Keep a copy of an FP32 artifact that was made anyway."""
        kept = self._directory / exporter.format / exporter.file_name
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, kept)

    def _answers(self, batch: Arrays) -> Arrays:
        spec = self.original.spec
        with quiet():
            answers = spec.positional()(
                *(torch.tensor(batch[name]) for name in spec.example_inputs)
            )
        return {n: a.numpy() for n, a in zip(spec.output_names, answers, strict=True)}


@contextmanager
def reference_for(original: Original) -> Iterator[Reference]:
    """A reference whose artifacts are gone at the end of the block.

    The model is captured once within it.
    """
    with temporary_directory() as directory, captured_once():
        yield Reference(original, directory)


def drawn_rows(original: Original, rows: int, largest: int, seed: int) -> tuple[Arrays, ...]:
    """At least so many rows in batches of at most `largest`, the same for the same seed."""
    sizes: Sequence[int] = [largest] * -(-rows // largest)
    return tuple(
        {
            name: tensor.numpy()
            for name, tensor in draw_samples(
                original.spec, size, seed + turn, spans=original.spans
            ).items()
        }
        for turn, size in enumerate(sizes)
    )
