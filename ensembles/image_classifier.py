"""The image ensemble: encoded photographs in, the most probable labels out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from ensembles.feedback import LOG_MEGABYTES, feedback_model
from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step, tensor
from trimaran.served.answers import LABELS
from trimaran.served.decoding import ImageSettings
from trimaran.system.errors import TrimaranError
from trimaran.training.image.trained import ImageRun
from trimaran.training.image_data import RESERVED
from trimaran.training.image_reference import ImageReference, fixed_bins

__all__ = ["image_classifier", "image_feedback", "image_labels", "image_preprocess", "models_of"]

_DEFAULT_NAME = "image_classifier"
_TOP = 5
_LIMITS = {
    "max_megapixels": "64",
    "max_scans": "100",
    "max_decoded_megabytes": "512",
    "max_decode_cpu_seconds": "10",
    "heavy_decode_cpu_seconds": "1",
}
"""Of an image: see `trimaran.served.image_work.Limits`."""


def models_of(run: ImageRun) -> list[Pipeline | PythonModel]:
    """What serves a trained run, whose network is `<name>_onnx`, and the model of outcomes."""
    labels = run.labels()
    pipeline = image_classifier(
        f"{run.name}_onnx",
        labels,
        run.settings(),
        name=run.name,
        top=min(_TOP, len(labels)),
        reference=run.reference(),
        judged=run.judged(),
    )
    return [pipeline, image_feedback(labels, name=run.name)]


def image_classifier(
    classifier: str,
    labels: Sequence[str],
    settings: ImageSettings,
    *,
    name: str = _DEFAULT_NAME,
    input_name: str = "image",
    output_name: str = "logits",
    top: int = _TOP,
    max_batch_size: int = 32,
    reference: ImageReference | None = None,
    judged: Mapping[str, float] | None = None,
) -> Pipeline:
    """Preprocessing, `classifier` and labels as one ensemble.

    `classifier` takes float32 `[batch, 3, size, size]` under `input_name` and gives float32 logits
    `[batch, classes]` under `output_name`; `labels` names the classes in order. The ensemble takes
    `IMAGE`, BYTES `[1]`: a JPEG, PNG or WebP file, or its base64. It answers `LABEL`, BYTES
    `[top]`, and `PROBABILITY`, FP32 `[top]`, best first.

    The two Python models are `image_preprocess` and `image_labels`; those of an ensemble of another
    name are `<name>_preprocess` and `<name>_labels`.

    Images and answers are counted by the bins of `reference`; without one, by `fixed_bins`. Live
    accuracy is compared with `judged`, the totals of a test part (`trimaran/served/judging.py`).
    """
    if name != _DEFAULT_NAME and name in RESERVED:
        raise TrimaranError(
            f"an ensemble called {name!r} would have the models of {_DEFAULT_NAME}; give it "
            "another name"
        )
    family = "image" if name == _DEFAULT_NAME else name
    bins = reference or fixed_bins(labels)
    preprocess = image_preprocess(
        f"{family}_preprocess", settings, reference=bins, max_batch_size=max_batch_size
    )
    postprocess = image_labels(
        f"{family}_labels",
        labels,
        top=top,
        reference=bins,
        answers_of=name,
        judged=judged,
        max_batch_size=max_batch_size,
    )
    steps = [
        Step(preprocess, {"IMAGE": "IMAGE"}, {"PIXELS": "pixels"}),
        Step(classifier, {input_name: "pixels"}, {output_name: "logits"}),
        Step(
            postprocess,
            {"LOGITS": "logits"},
            {"LABEL": "LABEL", "PROBABILITY": "PROBABILITY"},
        ),
    ]
    return Pipeline(Ensemble(name, preprocess.inputs, postprocess.outputs, steps, max_batch_size))


def image_preprocess(
    name: str,
    settings: ImageSettings,
    *,
    reference: ImageReference | None = None,
    max_batch_size: int = 32,
) -> PythonModel:
    """A step from `IMAGE`, BYTES `[1]`, to `PIXELS`, FP32 `[3, size, size]`.

    `IMAGE` is a JPEG, PNG or WebP file, or its base64. Images are counted by the bins of
    `reference`; without one, by `fixed_bins`.
    """
    return PythonModel(
        name=name,
        inputs=[tensor("IMAGE", "BYTES", 1)],
        outputs=[tensor("PIXELS", "FP32", 3, settings.size, settings.size)],
        entry="trimaran.served.preprocess_model",
        files={
            "preprocess.json": json.dumps(asdict(settings), indent=2).encode(),
            "reference.json": (reference or fixed_bins([])).images.to_json().encode(),
        },
        parameters=_LIMITS,
        max_batch_size=max_batch_size,
    )


def image_labels(
    name: str,
    labels: Sequence[str],
    *,
    top: int = _TOP,
    reference: ImageReference | None = None,
    answers_of: str | None = None,
    judged: Mapping[str, float] | None = None,
    max_batch_size: int = 32,
) -> PythonModel:
    """A step from `LOGITS`, FP32 `[classes]`, to `LABEL`, BYTES `[top]`, and `PROBABILITY`.

    `PROBABILITY` is FP32 `[top]`; the best comes first. Answers are counted by the bins of
    `reference`; without one, by `fixed_bins`. Where predictions are logged, they are those of the
    ensemble `answers_of`, of which this is the last step, or of this model; live accuracy is
    compared with `judged`, the totals of a test part (`trimaran/served/judging.py`). Raises
    `TrimaranError` for more of the best than there are labels.
    """
    logged = {"answers_of": answers_of} if answers_of else {}
    if not 0 < top <= len(labels):
        raise TrimaranError(
            f"top is {top}; with {len(labels)} labels it must be between 1 and {len(labels)}"
        )
    return PythonModel(
        name=name,
        inputs=[tensor("LOGITS", "FP32", len(labels))],
        outputs=[tensor("LABEL", "BYTES", top), tensor("PROBABILITY", "FP32", top)],
        entry="trimaran.served.labels_model",
        files={
            LABELS: _lines(labels),
            "reference.json": (reference or fixed_bins(labels)).answers.to_json().encode(),
            "judged.json": json.dumps(judged or {}).encode(),
        },
        parameters={"log_megabytes": LOG_MEGABYTES, **logged},
        max_batch_size=max_batch_size,
    )


def image_feedback(labels: Sequence[str], *, name: str = _DEFAULT_NAME) -> PythonModel:
    """The model `<name>_feedback`: the true labels of what the ensemble `name` answered."""
    parameters = {"task": "multiclass", "prediction": "LABEL"}
    return feedback_model(name, [name], "BYTES", parameters, {LABELS: _lines(labels)})


def _lines(labels: Sequence[str]) -> bytes:
    return "".join(f"{label}\n" for label in labels).encode()
