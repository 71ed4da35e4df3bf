"""Which options of `trimaran bench` go together."""

from __future__ import annotations

from collections.abc import Mapping

from trimaran.system.errors import UsageError

__all__ = ["refuse_mixtures"]

_LOADS = ("--rate", "--find-max", "--closed")
_OF_PAIRS = ("--vs-config", "--min-rate-ratio", "--max-p99-ratio")
_OF_ONE = ("--p99-ms", "--min-rps", "--max-error-ratio", "--price")


def refuse_mixtures(target: str, options: Mapping[str, object]) -> None:
    """Raise `UsageError` for options that would be ignored.

    `options` has each option's value by its name; None and False are options that nobody gave.
    """
    if target == "peers":
        raise UsageError("'trimaran bench peers' is now 'python -m proofs.peers'")
    given = [name for name, value in options.items() if value is not None and value is not False]
    loads = [name for name in given if name in _LOADS]
    of_pairs = [name for name in given if name in _OF_PAIRS]
    of_one = [name for name in given if name in _OF_ONE]
    if len(loads) > 1:
        raise UsageError("give one of --rate, --find-max and --closed")
    if "--vs" in given:
        if loads and loads != ["--rate"]:
            raise UsageError(
                f"--vs takes turns in a closed and an open loop, or at --rate; leave {loads[0]} out"
            )
        if of_one:
            raise UsageError(
                f"{of_one[0]} checks one target; with --vs, give --min-rate-ratio or "
                "--max-p99-ratio"
            )
    elif of_pairs:
        raise UsageError(f"{of_pairs[0]} goes with --vs")
