"""What `import trimaran` offers to publish an ensemble."""

from __future__ import annotations

from collections.abc import Callable

from ensembles.pipeline import Pipeline, PythonModel
from ensembles.publish import publish_pipeline, publish_python_model
from trimaran.publishing.publish import Publication
from trimaran.repository.place import DEFAULT_PLACE, Place, made_at
from trimaran.system.errors import UsageError
from trimaran.system.factory import call_factory

__all__ = ["made_by", "publish"]

Made = Pipeline | PythonModel


def publish(
    model: Made | Callable[[], Made] | str,
    repository: Place = DEFAULT_PLACE,
    *,
    source: str | None = None,
) -> list[Publication]:
    """Publish a Python model, or all those of a pipeline and, if it is missing, its wiring.

    `model` is a `Pipeline`, a `PythonModel`, a function that makes one, or a function's name such
    as `shop/pipeline.py:ensemble`. `source` says in the manifest where it came from; by default
    that is the function. An equal version is not made again: its publication is `unchanged`.

    Raises `TrimaranError` where a configuration that stands disagrees, or the wiring does not fit.
    """
    made, called = made_by(model)
    source = source or called
    if isinstance(made, PythonModel):
        return [publish_python_model(made_at(repository), made, source)]
    return publish_pipeline(made_at(repository), made, source)


def made_by(model: Made | Callable[[], Made] | str) -> tuple[Made, str]:
    """What is to be published, and where it came from. Raises `UsageError` for another type."""
    made: object = model
    source = type(model).__name__
    if isinstance(model, str):
        source, made = model, call_factory(model)
    elif not isinstance(model, Pipeline | PythonModel):
        source, made = f"{model.__module__}:{model.__qualname__}", model()
    if isinstance(made, Pipeline | PythonModel):
        return made, source
    raise UsageError(
        f"{source} returned {type(made).__name__}, neither an ensembles.Pipeline nor an "
        "ensembles.PythonModel"
    )
