"""The table of trials, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import metadata

from proofs.architectures.architecture import Architecture
from proofs.architectures.trial import FORMATS, MAX_BATCH_SIZE, Trial

__all__ = ["markdown"]

_LIBRARIES = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime")


def markdown(architectures: Sequence[Architecture], trials: Sequence[Trial]) -> str:
    """The whole page: what was tried, counts, one row per architecture, refusals in full."""
    return "\n".join(_lines(architectures, trials)) + "\n"


def _lines(architectures: Sequence[Architecture], trials: Sequence[Trial]) -> Iterator[str]:
    found = {(trial.architecture, trial.format): trial for trial in trials}
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    supported = [a for a in architectures if len(a.refused) < len(FORMATS)]
    yield "# Architectures"
    yield ""
    yield (
        "Written by `python -m proofs.architectures --out docs/architectures.md`. Each "
        "network is small and has random weights. It is exported as `trimaran export` does, with "
        f"batches of {MAX_BATCH_SIZE} rows at most, and tried on all that [`parity.md`](parity.md) "
        "says. An entry is the largest error of any output, and how the module was captured; "
        "tolerances are the defaults."
    )
    yield ""
    yield f"{len(supported)} architectures are carried, with {versions}:"
    yield ""
    for format in FORMATS:
        wanted = [a for a in architectures if format not in a.refused]
        passed = sum(found[a.name, format].exported for a in wanted)
        refused = sum(format in a.refused for a in architectures)
        yield f"- {format}: {passed} of {len(wanted)} verified, {refused} refused as expected"
    yield ""
    yield (
        "| architecture | family | axes that vary | largest output | " + " | ".join(FORMATS) + " |"
    )
    yield "|---|---|---|---|" + "---|" * len(FORMATS)
    for item in architectures:
        tried = [found[item.name, format] for format in FORMATS]
        cells = [_cell(trial) for trial in tried]
        value = f"{tried[0].largest_value:.2g}" if tried[0].largest_value else ""
        axes = ", ".join(tried[0].axes)
        yield f"| {item.name} | {item.family} | {axes} | {value} | " + " | ".join(cells) + " |"
    yield ""
    yield "## Refused"
    yield ""
    for trial in trials:
        if not trial.exported:
            unexpected = "" if trial.as_expected else " **(not expected)**"
            yield f"- {trial.architecture}, {trial.format}{unexpected}: {_plain(trial.problem)}"


def _cell(trial: Trial) -> str:
    if trial.exported:
        return f"{trial.largest_error:.1e} ({trial.capture})"
    return "refused" if trial.as_expected else "**failed**"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
