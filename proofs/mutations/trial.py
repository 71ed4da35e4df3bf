"""One mutated repository, given to the checker and to the real server.

Every mutation is a function that changes one thing in a draft. It may also leave the repository
good: a checker that refuses what Triton serves errs too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from proofs.mutations import ensemble_mutations as ensembles
from proofs.mutations import file_mutations as completions
from proofs.mutations import file_mutations as files
from proofs.mutations import model_file_mutations as archives
from proofs.mutations import model_file_mutations as graphs
from proofs.mutations import package_mutations as packages
from proofs.mutations import scheduling_mutations as scheduling
from proofs.mutations import tensor_mutations as tensors
from proofs.mutations.oracle import Oracle
from proofs.mutations.repositories import GOOD, Draft, good_repository
from trimaran.checks.api import check
from trimaran.checks.finding import Severity
from trimaran.repository.repository import Repository
from trimaran.serving.server import all_complete

__all__ = [
    "KINDS",
    "LASTING",
    "Outcome",
    "Trial",
    "hold_trial",
    "make_trials",
    "mutate",
    "repositories_of",
]

Mutation = Callable[[Random, Draft], str]
"""What was changed, or an empty text where there is nothing to change."""

KINDS: dict[str, Mutation] = {
    "model name": scheduling.mutate_name,
    "model directory": files.mutate_directory,
    "backend": scheduling.mutate_backend,
    "platform": scheduling.mutate_platform,
    "max_batch_size": scheduling.mutate_batch,
    "dims": tensors.mutate_dims,
    "data_type": tensors.mutate_data_type,
    "tensor name": tensors.mutate_tensor_name,
    "tensor removed, doubled or added": tensors.mutate_tensor_count,
    "tensor flags": tensors.mutate_tensor_flag,
    "reshape": tensors.mutate_reshape,
    "label file": tensors.mutate_labels,
    "instance group": scheduling.mutate_instances,
    "version policy": scheduling.mutate_policy,
    "dynamic batching": scheduling.mutate_queue,
    "sequence batching": scheduling.mutate_sequences,
    "decoupled and response cache": scheduling.mutate_transaction,
    "warm-up": tensors.mutate_warmup,
    "ensemble steps": ensembles.mutate_steps,
    "ensemble maps": ensembles.mutate_maps,
    "fields that an ensemble may not have": ensembles.mutate_forbidden,
    "artifact": files.mutate_artifact,
    "labels and warm-up data": files.mutate_other_file,
    "version directory": files.mutate_version,
    "more directories": files.mutate_more_directories,
    "model file name": files.mutate_filename,
    "configuration text": files.mutate_text,
    "no configuration": files.mutate_no_config,
    "parameters and runtime": scheduling.mutate_parameters,
    "batch tensors": tensors.mutate_batch_tensors,
    "any field removed": files.mutate_any_field,
    "number of an enumeration": scheduling.mutate_enumeration,
    "configuration's encoding": files.mutate_encoding,
    "ONNX graph": graphs.mutate_graph,
    "ONNX inputs and outputs": graphs.mutate_interface,
    "ONNX weights in another file": graphs.mutate_weights,
    "TorchScript file": archives.mutate_archive,
    "AOTI package": packages.mutate_package,
    "configuration of an AOTI package": packages.mutate_configuration,
    "completion by a Python model": completions.mutate_completion,
    "environment of a Python model": completions.mutate_environment,
    "ensembles in ensembles": ensembles.mutate_nesting,
}
"""Every kind of mutation, by the name that the report gives it."""

LASTING = frozenset({"environment of a Python model"})
"""Kinds after which a server is of no use: one that cannot unpack an archive stays in another
working directory, and no longer finds a repository that it was given by a relative path."""

_OWN = {
    "ONNX graph": ("graph",),
    "ONNX inputs and outputs": ("graph",),
    "ONNX weights in another file": ("external",),
    "TorchScript file": ("archive",),
    "AOTI package": ("package",),
    "configuration of an AOTI package": ("package",),
    "completion by a Python model": ("partial",),
    "environment of a Python model": ("plain", "partial"),
    "ensembles in ensembles": ("nested",),
}


def repositories_of(kind: str, names: Iterable[str]) -> list[str]:
    """The good repositories, of all `names`, that a kind of mutation is drawn for.

    Loading torch takes the server seconds, so that only an archive's own kinds do.
    """
    return list(_OWN.get(kind, ())) or sorted(set(names) - {"archive", "package"})


def mutate(rng: Random, kind: str, draft: Draft) -> str:
    """Apply one mutation of a kind; what it did, or an empty text if it does not apply."""
    return KINDS[kind](rng, draft)


@dataclass(frozen=True)
class Trial:
    """A repository and what was changed in it; nothing in a good one."""

    number: int
    good: str
    kind: str
    change: str
    draft: Draft


@dataclass(frozen=True)
class Outcome:
    """Why the model is not served by the checker and by the server, or `None`."""

    trial: Trial
    checker: str | None
    server: str | None


def make_trials(total: int, seed: int) -> Iterator[Trial]:
    """The good repositories, and then mutations of all kinds in turn, `total` in all."""
    rng = Random(seed)  # noqa: S311 - repeatable, not secret
    numbers = count()
    for good in list(GOOD)[:total]:
        number = next(numbers)
        yield Trial(number, good, "none", "", good_repository(good, _prefix(number)))
    left = max(total - len(GOOD), 0)
    # A mutation that does not apply to the drawn repository is drawn again.
    kinds = list(KINDS)
    place = 0
    while left:
        kind = kinds[place % len(kinds)]
        good = rng.choice(repositories_of(kind, GOOD))
        number = next(numbers)
        draft = good_repository(good, _prefix(number))
        change = mutate(rng, kind, draft)
        if change:
            place, left = place + 1, left - 1
            yield Trial(number, good, kind, change, draft)


def _prefix(number: int) -> str:
    return f"t{number}_"


def hold_trial(oracle: Oracle, trial: Trial) -> Outcome:
    """Write the repository, ask the checker and the server, and remove it again."""
    scratch = Repository.create(oracle.scratch)
    names = sorted(trial.draft.folders)
    try:
        trial.draft.write(scratch.root)
        report = check(scratch)
        said = [f.sentence for f in report.findings if f.severity is Severity.ERROR]
        said += [f"{name} has no version yet" for name in report.unserved]
        complete = all_complete(scratch)
        oracle.take(complete, names)
        refusal = oracle.refusal(complete, names)
        if refusal and not said and not oracle.is_running(complete):
            refusal = oracle.refusal(complete, names)  # A server may end for another reason.
        return Outcome(trial, said[0] if said else None, refusal)
    finally:
        for complete in (True, False):
            oracle.forget(complete, names)
        if trial.kind in LASTING:
            oracle.stop()
