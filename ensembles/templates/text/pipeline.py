"""What is served: the words of a text are counted by a function, for the network.

The function runs where Triton runs, so this file imports no torch.
"""

from __future__ import annotations

import re
import zlib

import numpy as np

from trimaran import Ensemble, Pipeline, Step, python_step, tensor

COLUMNS = 512
"""Each word is counted in one of so many columns, by its checksum."""


@python_step(
    inputs=[tensor("text", "BYTES", 1)],  # one row, without the batch
    outputs=[tensor("words", "FP32", COLUMNS)],
)
def my_project_words(text: np.ndarray) -> np.ndarray:
    """The words of one text, counted and scaled to length 1. A `ValueError` refuses a request."""
    counts = np.zeros(COLUMNS, dtype=np.float32)
    for word in re.findall(r"\w+", text[0].decode(errors="replace").lower()):
        counts[zlib.crc32(word.encode()) % COLUMNS] += 1
    if not counts.any():
        raise ValueError("the text has no word; give it at least one")
    return counts / np.linalg.norm(counts)


def pipeline() -> Pipeline:
    """The ensemble `my_project`, which `trimaran publish` publishes with its function."""
    ensemble = Ensemble(
        name="my_project",
        inputs=my_project_words.inputs,
        outputs=[tensor("praise", "FP32", 1)],
        steps=[  # left: the step's own tensors; right: the ensemble's
            Step(my_project_words, {"text": "text"}, {"words": "words"}),
            Step("my_project_network_onnx", {"words": "words"}, {"praise": "praise"}),
        ],
    )
    return Pipeline(ensemble)
