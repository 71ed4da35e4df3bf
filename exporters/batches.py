"""The batches that a module, and then each artifact of it, is run on.

The examples come first. Then rows of the model's own samples, or rows made up from the examples
(`exporters.drawing`) that the module takes: in small batches, and again all together in the largest
batch. Last come other lengths.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from exporters.calling import takes_one_collection
from exporters.drawing import (
    Spans,
    differ,
)
from exporters.formats.causes import one_sentence
from exporters.lengths import every_length, spread, usual_lengths
from exporters.samples import Answer, Source, Tensors, not_finite, sources_of
from exporters.spec import BATCH_AXIS, ModelSpec, resized, resized_inputs
from exporters.ways import Way
from trimaran.system.errors import TrimaranError

__all__ = [
    "Batch",
    "example_batches",
    "tried_batches",
]

_SEED = 20_240_229
_CHUNKS = ((1, 3), (5,), (2,), (1, 4), (6,), (7,), (1, 3), (1, 2))
"""How the rows of each source are put into batches: every small number of rows is tried."""
_EQUAL_ROWS = 4
_MOST_EXAMPLES = 64
_LENGTH_ROWS, _ENDS = 2, 2
"""The least and the most lengths are tried with two rows, and those between with one."""
_EVERY_SIZE = 32
"""Where nothing is known of the ways of `forward`, every number of rows up to here is tried."""
_REMEDY = "give `samples` in its ModelSpec: samples(batch_size, seed) returns real inputs"


@dataclass(frozen=True)
class Batch:
    """Inputs, PyTorch's answers, and the name of each row, the same wherever the row stands.

    `source` is where its rows come from, empty for examples and other lengths; `own` says that they
    are the model's own: its samples, or its examples as `example` says. `even` are the rows, by
    place, for which a decision may be a tie.
    """

    label: str
    inputs: Tensors
    answers: Tensors
    rows: tuple[str, ...] = ()
    source: str = ""
    own: bool = False
    example: bool = False
    even: frozenset[int] = frozenset()


def tried_batches(
    spec: ModelSpec,
    most: int,
    examples: Sequence[Batch],
    spans: Spans,
    ways: Sequence[tuple[Mapping[str, int], Way]],
    answer: Answer,
) -> Iterator[Batch]:
    """All batches of at most `most` rows after the `examples`, with the module's answers.

    `spans` and `ways` are what `usable_spans` and `find_ways` found. Raises `TrimaranError` where
    nothing can be made up that the module answers with numbers, and where it fails at a length.
    """
    usual = list(examples)
    sources, found = _usable(spec, most, sources_of(spec, spans), answer)
    usual += found
    usual += _together(sources, found, most, answer)
    yield from usual[len(examples) :]
    sizes = {len(batch.rows) for batch in usual}
    yield from _at_lengths(spec, most, sources, _left(spec, ways, sizes), answer)


def _left(
    spec: ModelSpec, ways: Sequence[tuple[Mapping[str, int], Way]], sizes: Collection[int]
) -> list[tuple[Mapping[str, int], Way]]:
    """The first way, and those that no batch of so many rows goes, nor one of other lengths."""
    usual = ways[0][0]
    tried = [{**usual, BATCH_AXIS: size} for size in sizes]
    tried += [{**usual, **lengths, BATCH_AXIS: _LENGTH_ROWS} for lengths in spread(spec)]
    return [ways[0], *(w for w in ways[1:] if not any(map(w[1].taken_at, tried)))]


def example_batches(spec: ModelSpec, most: int, answer: Answer) -> Iterator[Batch]:
    """The examples, one of them alone, and three of them.

    Raises `TrimaranError` where the module fails on them, or answers nothing that is a number.
    """
    examples = spec.example_inputs
    count = min(_count(examples), max(most, _MOST_EXAMPLES))
    whole = [list(range(start, min(start + most, count))) for start in range(0, count, most)]
    parts = [] if most == 1 else [[count - 1], [row % count for row in range(min(3, most))]]
    for place, pick in enumerate([*whole, *parts]):
        inputs = {name: tensor[pick] for name, tensor in examples.items()}
        try:
            answers = answer(inputs)
        except TrimaranError:
            raise
        except Exception as error:
            raise TrimaranError(_example_failure(spec, error, len(pick))) from error
        empty = not_finite(answers)
        if empty:
            raise TrimaranError(
                f"model {spec.name}: output {empty!r} is NaN or infinite in most places for its "
                "example inputs, which shows nothing; give examples whose answers are numbers"
            )
        label = "the example inputs" if place < len(whole) else f"{len(pick)} of the example rows"
        yield Batch(label, inputs, answers, _names("example", pick), own=True, example=True)


def _example_failure(spec: ModelSpec, error: Exception, rows: int) -> str:
    collection = takes_one_collection(spec.module, spec.example_inputs)
    if collection:
        return (
            f"model {spec.name}: forward takes one {collection}, and Triton passes tensors; wrap "
            "it in a module that takes the tensors"
        )
    reason = one_sentence(error)
    if rows == _count(spec.example_inputs):
        return f"model {spec.name} fails in PyTorch on its own inputs: {reason}"
    return (
        f"model {spec.name} fails in PyTorch on its own inputs in a batch of {rows}: {reason}; let "
        "forward take the number of rows from its inputs"
    )


def _usable(
    spec: ModelSpec, most: int, sources: Sequence[Source], answer: Answer
) -> tuple[list[Source], list[Batch]]:
    """The sources whose rows the module answers with numbers, and their batches.

    Raises `TrimaranError` where there are none, or their rows are all equal.
    """
    usable, batches, reasons = list[Source](), list[Batch](), list[str]()
    for place, source in enumerate(sources):
        sizes = _CHUNKS[place % len(_CHUNKS)]
        drawn = source.draw(sum(sizes), _SEED + place, {})
        try:
            found = list(_in_chunks(source, drawn, sizes, most, answer))
        except TrimaranError:
            raise
        except Exception as error:
            reasons.append(f"fails in PyTorch on {source.name}: {one_sentence(error)}")
            continue
        empty = next((name for b in found if (name := not_finite(b.answers))), None)
        if empty:
            reasons.append(f"answers NaN or infinity in most places of {empty!r} on {source.name}")
            continue
        usable.append(source)
        batches += found
    if not usable:
        problem = "" if sources[0].own else "; its inputs were made up from the examples"
        remedy = "give other samples" if sources[0].own else _REMEDY
        raise TrimaranError(f"model {spec.name} {reasons[0]}{problem}, so {remedy}")
    if not any(differ(source.draw(_EQUAL_ROWS, _SEED, {})) for source in usable):
        raise TrimaranError(
            f"model {spec.name}: only equal rows were tried, which shows nothing; {_REMEDY}"
        )
    return usable, batches


def _in_chunks(
    source: Source, drawn: Tensors, sizes: Sequence[int], most: int, answer: Answer
) -> Iterator[Batch]:
    start = 0
    for size in sizes:
        for first in range(start, start + size, most):
            pick = range(first, min(first + most, start + size))
            inputs = {name: tensor[pick.start : pick.stop] for name, tensor in drawn.items()}
            rows = _names(source.name, pick)
            even = frozenset(range(len(rows)) if source.even else ())
            yield Batch(
                source.name, inputs, answer(inputs), rows, source.name, source.own, even=even
            )
        start += size


def _together(
    sources: Sequence[Source], found: Sequence[Batch], most: int, answer: Answer
) -> Iterator[Batch]:
    """The rows of all sources once more, in turn, in batches of `most` rows."""
    if most == 1:
        return
    by_source: dict[str, list[tuple[str, Tensors]]] = {source.name: [] for source in sources}
    for batch in found:
        for place, row in enumerate(batch.rows):
            tensors = {name: t[place : place + 1] for name, t in batch.inputs.items()}
            by_source[batch.source].append((row, tensors))
    missing = max(0, most - sum(map(len, by_source.values())))
    share = -(-missing // len(sources))
    for place, source in enumerate(sources if share else ()):
        drawn = source.draw(share, _SEED + len(sources) + place, {})
        by_source[source.name] += [
            (f"{source.name} again {row}", {n: t[row : row + 1] for n, t in drawn.items()})
            for row in range(share)
        ]
    longest = max(map(len, by_source.values()))
    mixed = [rows[k] for k in range(longest) for rows in by_source.values() if k < len(rows)]
    if len(mixed) > most and len(mixed) < 2 * most:
        mixed = mixed[:most]
    tied = {row for s in sources if s.even for row, _ in by_source[s.name]}
    for start in range(0, len(mixed), most):
        part = mixed[start : start + most]
        inputs = {name: torch.cat([tensors[name] for _, tensors in part]) for name in part[0][1]}
        label = f"{len(part)} rows of all kinds together"
        even = frozenset(k for k, (row, _) in enumerate(part) if row in tied)
        yield Batch(label, inputs, answer(inputs), tuple(row for row, _ in part), even=even)


def _at_lengths(
    spec: ModelSpec,
    most: int,
    sources: Sequence[Source],
    ways: Sequence[tuple[Mapping[str, int], Way]],
    answer: Answer,
) -> Iterator[Batch]:
    usual, first = ways[0]
    wanted: list[tuple[Mapping[str, int], int]] = []
    wanted += [
        (lengths, min(_LENGTH_ROWS if place < _ENDS else 1, most))
        for place, lengths in enumerate(spread(spec))
    ]
    closely = first.is_rounded or not first.is_whole
    wanted += [(lengths, 1) for lengths in every_length(spec, closely=closely)]
    wanted += [(lengths, min(lengths[BATCH_AXIS], most)) for lengths, _ in ways[1:]]
    if not first.is_whole:
        wanted += [({}, rows) for rows in range(2, min(most, _EVERY_SIZE) + 1)]
    for place, (lengths, rows) in enumerate(wanted):
        axes = {name: n for name, n in lengths.items() if name != BATCH_AXIS}
        label = ", ".join(f"{name} = {n}" for name, n in axes.items()) or f"{rows} rows"
        broken = first.broken_at({**usual, **lengths})
        if broken:
            label += f" (where forward goes another way than on the examples: not {broken})"
        source = sources[place % len(sources)]
        yield _at_length(spec, source, axes, rows, place, label, answer)


def _at_length(
    spec: ModelSpec,
    source: Source,
    axes: Mapping[str, int],
    rows: int,
    place: int,
    label: str,
    answer: Answer,
) -> Batch:
    """One batch at other lengths: an example and drawn rows, or, if these fail, examples alone.

    At the examples' own lengths it is examples that are tried, which are known by name.
    """
    if all(usual_lengths(spec)[name] == length for name, length in axes.items()):
        repeated = resized(spec, spec.example_inputs, {BATCH_AXIS: rows})
        count = _count(spec.example_inputs)
        names = _names("example", (row % count for row in range(rows)))
        return Batch(label, repeated, answer(repeated), names)
    drawn = source.draw(rows, _SEED + place, axes)
    examples = resized(spec, resized_inputs(spec, axes), {BATCH_AXIS: rows})
    mixed = {name: torch.cat([examples[name][:1], drawn[name][1:]]) for name in drawn}
    attempts = [drawn if source.own or rows == 1 else mixed, examples]
    problem = ""
    for inputs in attempts:
        try:
            answers = answer(inputs)
        except TrimaranError:
            raise
        except Exception as error:
            problem = f"fails in PyTorch on its own inputs at {label}: {one_sentence(error)}"
            continue
        empty = not_finite(answers)
        if not empty:
            even = frozenset(range(rows) if source.even else ())
            return Batch(label, inputs, answers, even=even)
        problem = f"answers NaN or infinity in most places of {empty!r} at {label}"
    raise TrimaranError(
        f"model {spec.name} {problem}; narrow the axis in dynamic_axes, or give `samples` with a "
        "parameter `lengths` in its ModelSpec"
    )


def _names(what: str, rows: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{what} {row}" for row in rows)


def _count(tensors: Tensors) -> int:
    return next(iter(tensors.values())).shape[0]
