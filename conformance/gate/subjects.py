"""Every subject by name."""

from __future__ import annotations

from conformance.gate.image_subjects import image_subjects
from conformance.gate.sequence_subjects import sequence_subjects
from conformance.gate.subject import Subject
from conformance.gate.table_subjects import table_subjects

__all__ = ["SUBJECTS"]

SUBJECTS: dict[str, Subject] = {
    subject.name: subject
    for subject in (*image_subjects(), *sequence_subjects(), *table_subjects())
}
"""By name, in the order of the report."""
