"""What is served: measurements go through a function to the network.

The function runs where Triton runs, so this file imports no torch.
"""

from __future__ import annotations

import numpy as np

from trimaran import Ensemble, Pipeline, Step, python_step, tensor

MEAN = np.array([5.8, 3.1, 3.8, 1.2], dtype=np.float32)
SPREAD = np.array([0.8, 0.4, 1.8, 0.8], dtype=np.float32)


@python_step(
    inputs=[tensor("measurements", "FP32", 4)],  # one row, without the batch
    outputs=[tensor("features", "FP32", 4)],
)
def my_project_prepare(measurements: np.ndarray) -> np.ndarray:
    """One row of measurements, standardised. A `ValueError` refuses a request."""
    if not np.isfinite(measurements).all():
        raise ValueError("a measurement is not a finite number; leave its row out")
    return (measurements - MEAN) / SPREAD


def pipeline() -> Pipeline:
    """The ensemble `my_project`, which `trimaran publish` publishes with its function."""
    ensemble = Ensemble(
        name="my_project",
        inputs=my_project_prepare.inputs,
        outputs=[tensor("probabilities", "FP32", 3)],
        steps=[  # left: the step's own tensors; right: the ensemble's
            Step(my_project_prepare, {"measurements": "measurements"}, {"features": "features"}),
            Step(
                "my_project_network_onnx",
                {"features": "features"},
                {"probabilities": "probabilities"},
            ),
        ],
    )
    return Pipeline(ensemble)
