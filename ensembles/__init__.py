"""Python-backend models around a classifier, and the wiring that ties them together."""

from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step, tensor
from ensembles.python_step import python_step

__all__ = ["Ensemble", "Pipeline", "PythonModel", "Step", "python_step", "tensor"]
