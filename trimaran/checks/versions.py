"""Rules for version directories: the policy that chooses between them, and their manifests."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trimaran.checks.facts import ModelFacts
from trimaran.checks.finding import Problems, error, note, warning
from trimaran.repository.config import ModelConfig

__all__ = ["check_provenance", "check_versions", "served_versions", "version_of"]

_LEADING = re.compile(r"-?[0-9]+")
_VERSION = re.compile(r"0|[1-9][0-9]*")
_LARGEST = 2**63 - 1

_REPUBLISH = "publish it with 'trimaran export', 'trimaran publish' or 'trimaran add'"


def version_of(directory: str) -> int | None:
    """The version that Triton takes a directory for, or `None`: `2.tmp` counts as 2."""
    found = _LEADING.match(directory)
    if not found or (directory.startswith("0") and directory != "0"):
        return None
    return int(found.group())


def served_versions(config: ModelConfig | None, numbers: Sequence[int]) -> tuple[int, ...]:
    """The versions that Triton loads of those that are there."""
    policy = config.version_policy if config is not None else ModelConfig().version_policy
    if policy.HasField("specific"):
        return tuple(sorted(set(numbers) & set(policy.specific.versions)))
    if policy.HasField("all"):
        return tuple(sorted(numbers))
    latest = policy.latest.num_versions if policy.HasField("latest") else 1
    return tuple(sorted(numbers)[-latest:]) if latest > 0 else ()


def check_versions(facts: ModelFacts) -> Problems:
    """What is no version and looks like one, and policies that leave nothing to serve."""
    config = facts.live or facts.config
    found = {name: number for name in facts.directories if (number := version_of(name)) is not None}
    served = served_versions(config, sorted(set(found.values())))
    for name, number in sorted(found.items()):
        if number > _LARGEST:
            yield error(name, f"directory {name} is too large a version number", "rename it", name)
        elif not _VERSION.fullmatch(name) and str(number) not in found:
            report = error if number in served else warning
            yield report(
                name,
                f"directory {name} is read by Triton as version {number}, which does not exist",
                "rename it so that it starts with a letter, or remove it",
                name,
            )
        elif not _VERSION.fullmatch(name):
            report = error if number < 0 and number in served else warning
            yield report(
                name,
                f"directory {name} is read by Triton as version {number}",
                "rename it so that it starts with a letter, or remove it",
                name,
            )
        elif number == 0:
            yield warning(
                name,
                "Triton serves version 0, but trimaran does not support it",
                "number versions from 1",
                name,
            )
    for name in facts.directories:
        if name.isdecimal() and name.startswith("0") and name not in found:
            yield warning(
                name,
                f"directory {name} is not a version, since it begins with a zero",
                f"rename it to {int(name)}",
                name,
            )
    yield from _policy(facts, config, sorted(set(found.values())), served)


def _policy(
    facts: ModelFacts, config: ModelConfig | None, numbers: list[int], served: tuple[int, ...]
) -> Problems:
    have = ", ".join(map(str, numbers)) or "none"
    if config is not None and config.version_policy.HasField("specific"):
        missing = sorted(set(config.version_policy.specific.versions) - set(numbers))
        if missing and (served or facts.live is None):
            yield (error if not served else warning)(
                "version_policy.specific",
                f"version_policy names version {missing[0]}, but there is {have}",
                "name versions that are there",
            )
            return
    if served:
        return
    if numbers or facts.live is not None:
        yield error(
            "version_policy",
            f"version_policy leaves no version to serve: there is {have}",
            "name versions that are there, or remove the policy",
        )
    else:
        yield note(
            "",
            "has no version yet, so it is not served",
            "export or publish one, or add a directory 1",
        )


def check_provenance(facts: ModelFacts) -> Problems:
    """Versions whose files are not, or are no longer, the published ones."""
    recorded = any(version.has_manifest for version in facts.versions)
    if facts.versions and not recorded:
        # A model without any manifest is one that people made by hand.
        yield note(
            "", "no version has a manifest, so nothing shows which of them is complete", _REPUBLISH
        )
    for version in facts.versions:
        where = str(version.number)
        if version.problem:
            yield warning(
                "",
                f"version {where} differs from what was published: {version.problem}",
                "publish it again",
                f"{where}/manifest.json",
            )
        elif recorded and not version.has_manifest:
            yield warning(
                "",
                f"version {where} has no manifest, so nothing shows whether it is complete",
                _REPUBLISH,
                where,
            )
        for name in version.unrecorded:
            yield warning(
                "",
                f"{where}/{name} is not in the manifest of its version",
                "remove it, or publish a version with it",
                f"{where}/{name}",
            )
