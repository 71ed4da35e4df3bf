"""Every subject by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from proofs.gate.image_subjects import image_subjects
from proofs.gate.sequence_subjects import sequence_subjects
from proofs.gate.subject import Subject
from proofs.gate.table_subjects import table_subjects

__all__ = ["SUBJECTS"]

_PLAIN = ("cnn", "conv1d", "encoder", "mlp")


def _subjects() -> Iterator[Subject]:
    drawn = [*image_subjects(), *sequence_subjects(), *table_subjects()]
    yield from drawn
    for subject in drawn:
        if subject.name in _PLAIN:
            yield replace(subject, name=f"{subject.name}_plain_example", plain=True)


SUBJECTS: dict[str, Subject] = {subject.name: subject for subject in _subjects()}
"""By name, in the order of the report; some twice, with an example of ones alone."""
