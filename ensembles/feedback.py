"""The model that takes true outcomes, for live accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ensembles.pipeline import PythonModel, tensor

__all__ = ["LOG_MEGABYTES", "feedback_model"]

LOG_MEGABYTES = "1024"
"""The parameter `log_megabytes` of models whose answers can be logged."""


def feedback_model(
    name: str,
    predictors: Sequence[str],
    outcome: str,
    parameters: Mapping[str, str],
    files: Mapping[str, bytes],
    *,
    max_batch_size: int = 1024,
) -> PythonModel:
    """The model `<name>_feedback`: outcomes of what the models `predictors` answered and logged.

    Takes `id`, BYTES `[1]`, `outcome`, `[1]` of the datatype of that name, and `time`, BYTES `[1]`,
    optional; answers `status`, BYTES `[1]`: see the table in `trimaran/served/outcomes.py`. The
    parameters name the task and its outputs, and `files` are the classes where it has them: see
    `trimaran/served/judging.py`.
    """
    return PythonModel(
        name=f"{name}_feedback",
        inputs=[
            tensor("id", "BYTES", 1),
            tensor("outcome", outcome, 1),
            tensor("time", "BYTES", 1, optional=True),
        ],
        outputs=[tensor("status", "BYTES", 1)],
        entry="trimaran.served.feedback_model",
        files=files,
        parameters={"predictions_of": ",".join(predictors), **parameters},
        max_batch_size=max_batch_size,
    )
