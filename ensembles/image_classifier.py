"""The image ensemble: encoded photographs in, the most probable labels out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step, tensor
from trimaran.served.decoding import ImageSettings
from trimaran.system.errors import TrimaranError
from trimaran.training.image.trained import ImageRun
from trimaran.training.image_data import RESERVED
from trimaran.training.image_reference import ImageReference, fixed_bins

__all__ = ["image_classifier", "image_labels", "image_preprocess", "models_of"]

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


def models_of(run: ImageRun) -> list[Pipeline]:
    """What serves a trained run, whose network is `<name>_onnx`."""
    labels = run.labels()
    pipeline = image_classifier(
        f"{run.name}_onnx",
        labels,
        run.settings(),
        name=run.name,
        top=min(_TOP, len(labels)),
        reference=run.reference(),
    )
    return [pipeline]


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
) -> Pipeline:
    """Preprocessing, `classifier` and labels as one ensemble.

    `classifier` takes float32 `[batch, 3, size, size]` under `input_name` and gives float32 logits
    `[batch, classes]` under `output_name`; `labels` names the classes in order. The ensemble takes
    `IMAGE`, BYTES `[1]`: a JPEG, PNG or WebP file, or its base64. It answers `LABEL`, BYTES
    `[top]`, and `PROBABILITY`, FP32 `[top]`, best first.

    The two Python models are `image_preprocess` and `image_labels`; those of an ensemble of another
    name are `<name>_preprocess` and `<name>_labels`.

    Images and answers are counted by the bins of `reference`; without one, by `fixed_bins`.
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
        f"{family}_labels", labels, top=top, reference=bins, max_batch_size=max_batch_size
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
    max_batch_size: int = 32,
) -> PythonModel:
    """A step from `LOGITS`, FP32 `[classes]`, to `LABEL`, BYTES `[top]`, and `PROBABILITY`.

    `PROBABILITY` is FP32 `[top]`; the best comes first. Answers are counted by the bins of
    `reference`; without one, by `fixed_bins`. Raises `TrimaranError` for more of the best than
    there are labels.
    """
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
            "labels.txt": "".join(f"{label}\n" for label in labels).encode(),
            "reference.json": (reference or fixed_bins(labels)).answers.to_json().encode(),
        },
        max_batch_size=max_batch_size,
    )
