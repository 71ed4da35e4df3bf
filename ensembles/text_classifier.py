"""A classifier of texts: tokens, the network, and the label, as one ensemble."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ensembles.feedback import LOG_MEGABYTES, feedback_model
from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step, tensor
from trimaran.served.answers import LABELS
from trimaran.served.texts import MOST_BYTES
from trimaran.training.text.trained import TextRun

__all__ = ["models_of", "text_classifier"]


def models_of(run: TextRun) -> list[Pipeline | PythonModel]:
    """What serves a trained run, whose network is `<name>_onnx`, and the model of outcomes."""
    name = run.name
    encoding, vocabulary, decision, metrics = (
        run.text(f"{each}.json") for each in ("encoding", "vocabulary", "decision", "metrics")
    )
    confusion = json.loads(metrics)["test"]["confusion"]
    classifier = text_classifier(
        name, f"{name}_onnx", encoding, vocabulary, decision, judged=confusion
    )
    labels = json.loads(decision)
    classes = "".join(f"{labels[each]}\n" for each in ("negative", "positive"))
    outputs = {"probability": "PROBABILITY", "decision": "LABEL"}
    outcomes = feedback_model(name, [name], "BYTES", outputs, {LABELS: classes.encode()})
    return [classifier, outcomes]


def text_classifier(
    name: str,
    classifier: str,
    encoding: str,
    vocabulary: str,
    decision: str,
    *,
    input_name: str = "tokens",
    output_name: str = "probability",
    judged: Mapping[str, float] | None = None,
    max_batch_size: int = 32,
) -> Pipeline:
    """The ensemble `name`: `TEXT`, BYTES `[1]`, in, and `LABEL`, BYTES `[1]`, out.

    It also answers `PROBABILITY`, FP32 `[1]`, of the positive class, and `TRUNCATED`, BOOL `[1]`:
    whether the end of the text was left out. `encoding`, `vocabulary` and `decision` are the texts
    of `encoding.json`, `vocabulary.json` and `decision.json`. `classifier` takes int64
    `[batch, length]`, padded with 0, and gives the probability, float32 `[batch, 1]`. Live accuracy
    is compared with `judged`, the texts of a test part by cell (`trimaran/served/judging.py`).
    """
    given = tensor("TEXT", "BYTES", 1)
    probability = tensor("PROBABILITY", "FP32", 1)
    truncated = tensor("TRUNCATED", "BOOL", 1)
    label = tensor("LABEL", "BYTES", 1)
    tokens = PythonModel(
        name=f"{name}_tokens",
        inputs=[given],
        outputs=[tensor("TOKENS", "INT64", -1), truncated],
        entry="trimaran.served.tokens_model",
        files={"encoding.json": encoding.encode(), "vocabulary.json": vocabulary.encode()},
        parameters={"max_bytes": str(MOST_BYTES)},
        max_batch_size=max_batch_size,
    )
    labels = PythonModel(
        name=f"{name}_decision",
        inputs=[probability],
        outputs=[label],
        entry="trimaran.served.decision_model",
        files={
            "decision.json": decision.encode(),
            "judged.json": json.dumps(judged or {}).encode(),
        },
        parameters={"answers_of": name, "log_megabytes": LOG_MEGABYTES},
        max_batch_size=max_batch_size,
    )
    steps = [
        Step(tokens, {"TEXT": "TEXT"}, {"TOKENS": "tokens", "TRUNCATED": "TRUNCATED"}),
        Step(classifier, {input_name: "tokens"}, {output_name: "PROBABILITY"}),
        Step(labels, {"PROBABILITY": "PROBABILITY"}, {"LABEL": "LABEL"}),
    ]
    ensemble = Ensemble(name, [given], [label, probability, truncated], steps, max_batch_size)
    return Pipeline(ensemble)
