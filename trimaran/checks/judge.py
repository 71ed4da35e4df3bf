"""All rules applied to a repository, and which rule sees which configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from trimaran.checks.artifacts import artifact_name, check_artifacts
from trimaran.checks.backends import (
    attribute,
    check_backend,
    check_native_features,
    check_pytorch,
    check_tensorflow,
    describes_tensors,
)
from trimaran.checks.ensemble import check_cycles, check_decoupling
from trimaran.checks.environments import check_environment
from trimaran.checks.facts import Graph, ModelFacts
from trimaran.checks.finding import Problems, Report, error, note, warning
from trimaran.checks.graphs import completed
from trimaran.checks.model import check_model, check_newer
from trimaran.checks.python_source import Completion
from trimaran.checks.scheduling import check_batch_limit, check_threads
from trimaran.checks.sequences import check_sequences
from trimaran.checks.source_completion import complete_from_source
from trimaran.checks.steps import check_nesting, check_pins, check_wired, floating_steps
from trimaran.checks.tensors import check_labels
from trimaran.checks.versions import check_provenance, check_versions, served_versions
from trimaran.checks.warmup import check_warmup
from trimaran.repository.config import ModelConfig, is_declared, is_ensemble

__all__ = ["judge"]

CONFIG, LIVE = "config.pbtxt", "configs/live.pbtxt"


def judge(
    repository: str,
    models: Mapping[str, ModelFacts],
    chosen: Sequence[str] = (),
    *,
    cores: int = 0,
    graphs: bool = True,
) -> Report:
    """The report on `chosen` models of a repository, or on all of them.

    `cores` are those of the machine that serves, 0 if unknown; `graphs` says whether ONNX files
    could be read.
    """
    names = tuple(sorted(chosen)) or tuple(sorted(models))
    findings = [
        replace(finding, model=name, file=_path(name, finding.file))
        for name in names
        for finding in dict.fromkeys(_model(models[name], models, cores))
    ]
    if not models:
        findings.append(
            warning("", "the repository is empty", "make a model with 'trimaran export'")
        )
    unread = [v for f in models.values() for v in f.versions if v.has("model.onnx")]
    if unread and not graphs:
        findings.append(
            note(
                "",
                "ONNX files were not checked, because the package onnx is not installed",
                "install it with pip install '.[export]' in trimaran's checkout",
            )
        )
    unserved = tuple(
        name for name in names if not models[name].numbers and models[name].live is None
    )
    return Report(repository, names, tuple(findings), unserved)


def _path(model: str, file: str) -> str:
    return f"{model}/{file}" if file else model


def _model(facts: ModelFacts, models: Mapping[str, ModelFacts], cores: int) -> Problems:
    yield from facts.broken
    yield from facts.remarks
    reported: set[tuple[str, str]] = set()
    for config, file in ((facts.config, CONFIG), (facts.live, LIVE)):
        if config is None:
            continue
        for finding in _configuration(facts, config, models, cores):
            # The generated configuration repeats the mistakes of the written one.
            if (finding.field, finding.found) not in reported:
                reported.add((finding.field, finding.found))
                yield replace(finding, file=finding.file or file)
    if facts.config is None and not any(f.file == CONFIG for f in facts.broken):
        yield from _without_config(facts)
    effective = LIVE if facts.live is not None else CONFIG
    for finding in (*check_versions(facts), *check_artifacts(facts)):
        yield replace(finding, file=finding.file or effective)
    yield from check_provenance(facts)
    if is_ensemble(facts.effective):
        everything = {name: _completed(model) for name, model in models.items()}
        for finding in (
            *check_cycles(facts.name, everything),
            *check_decoupling(facts.effective, everything),
            *_effective_ensemble(facts, models),
        ):
            yield replace(finding, file=effective)


def _configuration(
    facts: ModelFacts, config: ModelConfig, models: Mapping[str, ModelFacts], cores: int
) -> Problems:
    files = frozenset(facts.files)
    libraries = {path.rpartition("/")[2] for path in files if path.endswith(".so")}
    libraries |= {
        path.rpartition("/")[2] for v in facts.versions for path in v.files if path.endswith(".so")
    }
    backend = attribute(config, facts.first_entries, facts.name)
    completion = _completion(facts, config, backend)
    whole = config if completion is None else complete_from_source(config, completion)
    partial = completion is not None and completion.is_open
    partial |= describes_tensors(config, backend, facts.first_entries)
    yield from check_model(whole, facts.name, backend, partial=partial)
    yield from check_newer(config)
    yield from check_backend(config, frozenset(libraries))
    yield from check_labels(config, facts.lines)
    if is_ensemble(config):
        steps = _step_configs(config, models)
        yield from check_wired(config, steps, _unknown(models))
        yield from check_nesting(config, steps)
        return
    if backend == "tensorflow":
        yield from check_tensorflow(config, facts.first_entries)
    yield from check_native_features(config, backend)
    yield from check_sequences(config, files)
    yield from check_warmup(whole, facts.warmup)
    yield from check_threads(config, cores)
    yield from check_environment(config, backend, facts.environments)
    published = any(version.has_manifest for version in facts.versions)
    if config is facts.config and not published:
        yield from check_batch_limit(config, facts.text)


def _completion(facts: ModelFacts, config: ModelConfig, backend: str) -> Completion | None:
    """What a Python model adds to its configuration, by the newest version that is served."""
    if backend != "python":
        return None
    served = served_versions(config, facts.numbers)
    for version in reversed(facts.versions):
        if version.number in served:
            return version.completions.get(artifact_name(config, backend))
    return None


def _step_configs(
    ensemble: ModelConfig, models: Mapping[str, ModelFacts]
) -> dict[str, ModelConfig]:
    names = {step.model_name for step in ensemble.ensemble_scheduling.step}
    return {name: _completed(models[name]) for name in sorted(names & models.keys())}


def _completed(facts: ModelFacts) -> ModelConfig:
    """A model's configuration as Triton completes it, as far as its files show."""
    config = facts.effective
    backend = attribute(config, facts.first_entries, facts.name)
    completion = _completion(facts, config, backend)
    if completion is not None:
        return complete_from_source(config, completion)
    served = served_versions(config, facts.numbers)
    for version in facts.versions:
        graph = version.graphs.get(config.default_model_filename or "model.onnx")
        if version.number in served and isinstance(graph, Graph) and not graph.problems:
            return completed(config, graph)
    return config


def _unknown(models: Mapping[str, ModelFacts]) -> frozenset[str]:
    """Models with unknown tensors: the server completes them, or a mistake hides them."""
    return frozenset(name for name, facts in models.items() if _is_unknown(facts))


def _is_unknown(facts: ModelFacts) -> bool:
    config = facts.effective
    if facts.broken:
        return True
    if is_ensemble(config) or is_declared(config):
        return False
    backend = attribute(config, facts.first_entries, facts.name)
    completion = _completion(facts, config, backend)
    if completion is not None:
        return completion.is_open
    graphs = [graph for version in facts.versions for graph in version.graphs.values()]
    if backend == "onnxruntime":
        return not graphs or any(isinstance(graph, str) or graph.problems for graph in graphs)
    return backend not in ("python", "pytorch", "")


def _effective_ensemble(facts: ModelFacts, models: Mapping[str, ModelFacts]) -> Problems:
    """What only matters for an ensemble that is served: the versions of its steps."""
    config = facts.live or facts.config
    if config is None or not (facts.numbers or facts.live):
        return
    released = any(version.released for version in facts.versions)
    if released and facts.live is None:
        return  # Its deployment pins the steps, and is refused where they are not there.
    served = {
        name: served_versions(model.live or model.config, model.numbers)
        for name, model in models.items()
        if not model.broken
    }
    yield from check_pins(config, served)
    yield from floating_steps(config)


_DESCRIBING = ("model.onnx", "model.plan", "model.savedmodel", "model.xml")
"""Files that describe their tensors."""


def _without_config(facts: ModelFacts) -> Problems:
    if facts.live is not None:
        yield error("", "there is a live configuration without config.pbtxt", "write one", LIVE)
    elif any(v.has(name) for v in facts.versions for name in _DESCRIBING):
        yield warning(
            "",
            "there is no config.pbtxt, so Triton generates one",
            "write one that says inputs, outputs and max_batch_size",
            CONFIG,
        )
    elif (backend := attribute(ModelConfig(), facts.first_entries)) in ("pytorch", "tensorflow"):
        nothing = ModelConfig()
        for finding in (
            check_pytorch(nothing)
            if backend == "pytorch"
            else check_tensorflow(nothing, facts.first_entries)
        ):
            yield replace(finding, file=CONFIG)
    elif facts.versions:
        yield warning(
            "",
            "there is no config.pbtxt, so the model has the tensors that its code declares",
            "write one that says inputs, outputs and max_batch_size",
            CONFIG,
        )
    else:
        yield warning("", "holds neither config.pbtxt nor a version", "remove it", "")
