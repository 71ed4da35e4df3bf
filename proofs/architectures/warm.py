"""Imports for every trial, done once in the process that trials are forked from.

Importing this module exports a layer, so that torch and onnxscript import their late modules.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from exporters.formats.onnx import OnnxExporter
from exporters.formats.torchscript import TorchScriptExporter
from exporters.spec import ModelSpec

__all__: list[str] = []

torch.set_num_threads(1)  # threads would be lost in a fork
with TemporaryDirectory() as _directory:
    _layer = ModelSpec("layer", torch.nn.Linear(3, 3), {"x": torch.ones(2, 3)}, ["y"])
    for _exporter in (OnnxExporter(), TorchScriptExporter()):
        next(_exporter.captures(_layer, Path(_directory) / _exporter.file_name))
