"""A recommender: what a user has chosen, the network, and the items' names, as one ensemble."""

from __future__ import annotations

from collections.abc import Mapping

from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step, tensor
from trimaran.training.recommender.trained import ITEMS, RecommenderRun

__all__ = ["models_of", "recommender"]


def models_of(run: RecommenderRun) -> list[Pipeline]:
    """What serves a trained run, whose network is `<name>_onnx`."""
    files = run.histories().files()
    return [recommender(run.name, f"{run.name}_onnx", files, run.text(ITEMS), run.top)]


def recommender(
    name: str,
    network: str,
    histories: Mapping[str, bytes],
    items: str,
    top: int,
    *,
    max_batch_size: int = 128,
) -> Pipeline:
    """The ensemble `name`: `USER`, BYTES `[1]`, in, and `ITEM`, BYTES `[top]`, best first, out.

    It also answers `SCORE`, FP32 `[top]`, and `BASIS`, BYTES `[1]`: `history`, or `popularity` for
    a user who is unknown or likes nothing. `histories` are the files of
    `trimaran.served.histories`, and `items` is the text of `items.txt`. `network` takes int64
    `[batch, length]` as `history`, and gives `items`, int64 `[batch, top]`, and `scores`, float32.
    """
    given = tensor("USER", "BYTES", 1)
    named = tensor("ITEM", "BYTES", top)
    basis = tensor("BASIS", "BYTES", 1)
    finding = PythonModel(
        name=f"{name}_history",
        inputs=[given],
        outputs=[tensor("HISTORY", "INT64", -1), basis],
        entry="trimaran.served.history_model",
        files=histories,
        parameters={"unknown": "popularity"},
        max_batch_size=max_batch_size,
    )
    naming = PythonModel(
        name=f"{name}_items",
        inputs=[tensor("NUMBERS", "INT64", top)],
        outputs=[named],
        entry="trimaran.served.items_model",
        files={ITEMS: items.encode()},
        max_batch_size=max_batch_size,
    )
    steps = [
        Step(finding, {"USER": "USER"}, {"HISTORY": "history", "BASIS": "BASIS"}),
        Step(network, {"history": "history"}, {"items": "numbers", "scores": "SCORE"}),
        Step(naming, {"NUMBERS": "numbers"}, {"ITEM": "ITEM"}),
    ]
    outputs = [named, tensor("SCORE", "FP32", top), basis]
    ensemble = Ensemble(name, [given], outputs, steps, max_batch_size)
    return Pipeline(ensemble)
