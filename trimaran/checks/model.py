"""All rules for one configuration by itself, in the order in which they are told."""

from __future__ import annotations

from trimaran.checks.backends import backend_of
from trimaran.checks.batching import check_batching
from trimaran.checks.ensemble import check_ensemble
from trimaran.checks.finding import Problems, error
from trimaran.checks.instances import check_instances
from trimaran.checks.parameters import check_parameters
from trimaran.checks.pytorch import check_pytorch
from trimaran.checks.sequences import check_sequences
from trimaran.checks.tensors import check_tensors
from trimaran.repository.config import ModelConfig, is_ensemble

__all__ = ["check_model", "check_name", "check_newer"]


def check_name(config: ModelConfig, directory: str) -> Problems:
    """A name that is not the directory's; a missing one is the directory's."""
    if config.name and config.name != directory:
        yield error(
            "name",
            f"name is {config.name!r} but the directory is {directory!r}; Triton wants them equal",
            "rename one",
        )


def check_model(
    config: ModelConfig, directory: str, backend: str | None = None, *, partial: bool = False
) -> Problems:
    """What is wrong with a configuration, without a look at any file.

    `backend` is what Triton completes it to where the files are known. With `partial`, tensors may
    leave to the model what their type and dims are.
    """
    backend = backend_of(config) if backend is None else backend
    yield from check_name(config, directory)
    yield from check_tensors(config, backend, partial=partial)
    yield from check_batching(config)
    yield from check_sequences(config)
    if is_ensemble(config):
        yield from check_ensemble(config)
    else:
        yield from check_instances(config, backend)
        yield from check_parameters(config, backend)
        if backend == "pytorch":
            yield from check_pytorch(config)


def check_newer(config: ModelConfig) -> Problems:
    """Fields that tritonserver 2.51, which trimaran embeds, does not know yet.

    Not part of `check_model`, because a newer server serves them.
    """
    newer = {
        "model_metrics": config.HasField("model_metrics"),
        "max_inflight_requests": config.ensemble_scheduling.max_inflight_requests > 0,
        "is_non_linear_format_io": any(
            item.is_non_linear_format_io for item in (*config.input, *config.output)
        ),
    }
    for field, used in newer.items():
        if used:
            yield error(
                field,
                f"{field} is not known to tritonserver 2.51, which refuses the configuration",
                "remove it, or serve with a newer tritonserver",
            )
