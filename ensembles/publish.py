"""A pipeline enters the repository: a version of each Python model, and the wiring."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ensembles.pipeline import Ensemble, Pipeline, PythonModel
from ensembles.python_step import PythonStep
from ensembles.runs import models_of_run
from ensembles.served_files import served_files
from trimaran.checks.raising import standing_configs
from trimaran.publishing.publish import Publication, check_publishable
from trimaran.publishing.publish import publish as publish_version
from trimaran.publishing.releases import check_wiring, step_models
from trimaran.repository.config import ModelConfig, write_config
from trimaran.repository.manifest import ENSEMBLE_SOURCE, Manifest, describe_version
from trimaran.repository.repository import DEFAULT_PLACE, Place, Repository, made_at
from trimaran.system.errors import TrimaranError, UsageError
from trimaran.system.factory import call_factory, call_given, find_named
from trimaran.training.tabular.runs.trained import named_run

__all__ = [
    "left_out",
    "made_by",
    "publish",
    "publish_pipeline",
    "publish_python_model",
    "write_wiring",
]

Made = Pipeline | PythonModel
Given = Made | PythonStep | Callable[[], Made] | str
"""What can be published: made, a function that makes it, or a name of that or of a trained run."""
_MADE = (Pipeline, PythonModel, PythonStep)


def publish(
    model: Given,
    repository: Place = DEFAULT_PLACE,
    *,
    source: str | None = None,
    logged: bool = False,
) -> list[Publication]:
    """Publish a Python model, or all those of a pipeline and, if it is missing, its wiring.

    `model` is a `Pipeline`, a `PythonModel`, a step, a function that makes one of the first two,
    a name such as `shop/pipeline.py:ensemble`, or a trained run such as `runs/customers/latest`,
    which is served by a pipeline and two models. With `logged`, what a table's pipeline answers
    can be logged, at the cost of a step. `source` says in the manifest where it came
    from; by default that is the name. An equal version is not made again: its publication is
    `unchanged`.

    Raises `TrimaranError` where a configuration that stands disagrees, or the wiring does not fit.
    """
    all_made, called = made_by(model, logged=logged)
    source, opened = source or called, made_at(repository)
    publications: list[Publication] = []
    for made in all_made:
        if isinstance(made, PythonModel):
            publications.append(publish_python_model(opened, made, source))
        else:
            publications += publish_pipeline(opened, made, source)
    return publications


def made_by(model: Given, *, logged: bool = False) -> tuple[Sequence[Made], str]:
    """What is to be published, and where it came from. Raises `UsageError` for another type."""
    if isinstance(model, str) and ":" not in model:
        run = named_run(model)
        return models_of_run(run, logged=logged), str(run.directory)
    if logged:
        raise UsageError(
            f"{model} is not the run of a table; publish it without --logged, which is for those"
        )
    if isinstance(model, str):
        found = find_named(model)
        made = found if isinstance(found, _MADE) else call_factory(model)
        source = model
    elif isinstance(model, _MADE):
        made, source = model, type(model).__name__
    else:
        made, source = call_given(model)
    if isinstance(made, PythonStep):
        made = made.model()
    if isinstance(made, Pipeline | PythonModel):
        return [made], source
    raise UsageError(
        f"{source} returned {type(made).__name__}, neither an ensembles.Pipeline nor an "
        "ensembles.PythonModel"
    )


def publish_pipeline(repository: Repository, pipeline: Pipeline, source: str) -> list[Publication]:
    """Publish every Python model of the pipeline, and its wiring if there is none.

    The models' manifests name the ensemble, whose release alone may pin them. Raises
    `TrimaranError`, and publishes nothing, where a standing configuration disagrees, or the wiring
    does not fit.
    """
    models = pipeline.python_models()
    made = {model.name: model.config() for model in models}
    for config in made.values():
        check_publishable(repository, config)
    wiring = _checked_wiring(repository, pipeline.ensemble, made)
    with ExitStack() as stagings:
        staged = [
            stagings.enter_context(_staged(repository, model, source, pipeline.ensemble.name))
            for model in models
        ]
        publications = [
            publish_version(repository, made[model.name], *version)
            for model, version in zip(models, staged, strict=True)
        ]
    _write_missing(repository, wiring)
    return publications


def publish_python_model(
    repository: Repository, model: PythonModel, source: str, *, ensemble: str | None = None
) -> Publication:
    """Make the next version of a Python model from its code and files.

    With `ensemble` it belongs to the ensemble of that name; otherwise any may have it as a step.
    """
    config = model.config()
    check_publishable(repository, config)
    with _staged(repository, model, source, ensemble) as version:
        return publish_version(repository, config, *version)


@contextmanager
def _staged(
    repository: Repository, model: PythonModel, source: str, ensemble: str | None
) -> Iterator[tuple[Path, Manifest]]:
    """A finished version that was tried, and its manifest, until the block ends."""
    with repository.staging() as scratch:
        staged = scratch / "version"
        staged.mkdir()
        _copy_code(model, staged)
        for name, content in model.files.items():
            if Path(name).name != name:
                raise TrimaranError(f"{model.name}: file {name!r} must be inside the version")
            (staged / name).write_bytes(content)
        origins = {
            name: _copy_artifact(repository, origin, staged / name)
            for name, origin in model.artifacts.items()
        }
        if model.trial is not None:
            model.trial(staged)
        owner = {ENSEMBLE_SOURCE: ensemble} if ensemble else {}
        manifest = describe_version(
            staged, "python", Path.cwd(), source={"factory": source, **owner, **origins}
        )
        yield staged, manifest


def _copy_code(model: PythonModel, staged: Path) -> None:
    """The model's Python files, `model.py` among them."""
    names = {path.name for path in model.sources}
    if model.entry and names:
        raise TrimaranError(
            f"{model.name}: the entry {model.entry} already gives its files, and sources add "
            f"{', '.join(sorted(names))}; give only one of the two"
        )
    if not model.entry and "model.py" not in names:
        raise TrimaranError(f"{model.name}: sources hold no model.py, the file that Triton starts")
    for path in model.sources:
        shutil.copyfile(path, staged / path.name)
    code = {**(served_files(model.entry) if model.entry else {}), **model.modules}
    for name, content in code.items():
        target = staged / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _copy_artifact(repository: Repository, origin: str, target: Path) -> str:
    """Copy a file out of the newest version of a model, and say which version that was."""
    version = repository.newest(origin)
    if version is None:
        raise TrimaranError(
            f"{origin} has no version to take {target.name} from; publish one with "
            "'trimaran export'"
        )
    shutil.copyfile(version.path / target.name, target)
    return f"{origin} version {version.number}"


def left_out(repository: Repository, ensemble: Ensemble) -> list[str]:
    """The steps of an ensemble that its standing configuration does not have."""
    standing = step_models(repository.config(ensemble.name))
    return [step.name for step in ensemble.steps if step.name not in standing]


def write_wiring(repository: Repository, ensemble: Ensemble) -> None:
    """Write an ensemble's configuration if there is none, after checking that its steps fit."""
    _write_missing(repository, _checked_wiring(repository, ensemble, {}))


def _checked_wiring(
    repository: Repository, ensemble: Ensemble, made: Mapping[str, ModelConfig]
) -> ModelConfig:
    """The ensemble's configuration, whose steps are checked if it has none yet.

    `made` are the configurations of models that are to be published. Raises `ConfigError`.
    """
    config = ensemble.config()
    check_publishable(repository, config)
    if not repository.has_config(ensemble.name):
        check_wiring(config, {**made, **standing_configs(repository, step_models(config))})
    return config


def _write_missing(repository: Repository, config: ModelConfig) -> None:
    if not repository.has_config(config.name):
        write_config(repository.config_path(config.name), config)
