"""Python-backend models around a classifier, and the wiring that ties them together."""

from ensembles.pipeline import Ensemble, Pipeline, PythonModel, Step

__all__ = ["Ensemble", "Pipeline", "PythonModel", "Step"]
