"""Every way to break a repository, each a function that changes one thing in a draft.

A mutation may also leave the repository good: a checker that refuses what Triton serves errs too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from proofs.mutations import completion_mutations as completions
from proofs.mutations import ensemble_mutations as ensembles
from proofs.mutations import file_mutations as files
from proofs.mutations import model_file_mutations as archives
from proofs.mutations import model_file_mutations as graphs
from proofs.mutations import scheduling_mutations as scheduling
from proofs.mutations import tensor_mutations as tensors
from proofs.mutations.repositories import Draft

__all__ = ["KINDS", "LASTING", "mutate", "repositories_of"]

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
    "completion by a Python model": ("partial",),
    "environment of a Python model": ("plain", "partial"),
    "ensembles in ensembles": ("nested",),
}


def repositories_of(kind: str, names: Iterable[str]) -> list[str]:
    """The good repositories, of all `names`, that a kind of mutation is drawn for.

    Loading an archive takes the server seconds, so that only its own kind does.
    """
    return list(_OWN.get(kind, ())) or sorted(set(names) - {"archive"})


def mutate(rng: Random, kind: str, draft: Draft) -> str:
    """Apply one mutation of a kind; what it did, or an empty text if it does not apply."""
    return KINDS[kind](rng, draft)
