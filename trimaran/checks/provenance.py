"""Rules for what trimaran recorded about a version: its manifest, and what it says of the files."""

from __future__ import annotations

from trimaran.checks.facts import ModelFacts
from trimaran.checks.finding import Problems, note, warning

__all__ = ["check_provenance"]

_REMEDY = "publish it with 'trimaran export', 'trimaran publish' or 'trimaran add'"


def check_provenance(facts: ModelFacts) -> Problems:
    """Versions whose files are not, or are no longer, what was published."""
    recorded = any(version.has_manifest for version in facts.versions)
    if facts.versions and not recorded:
        # A model without any manifest is one that people made by hand.
        yield note(
            "", "no version has a manifest, so nothing tells which of them is complete", _REMEDY
        )
    for version in facts.versions:
        where = str(version.number)
        if version.problem:
            yield warning(
                "",
                f"version {where} is not what was published: {version.problem}",
                "publish it again",
                f"{where}/manifest.json",
            )
        elif recorded and not version.has_manifest:
            yield warning(
                "",
                f"version {where} has no manifest, so nothing tells whether it is complete",
                _REMEDY,
                where,
            )
        for name in version.unrecorded:
            yield warning(
                "",
                f"{where}/{name} is not in the manifest of its version",
                "remove it, or publish a version with it",
                f"{where}/{name}",
            )
