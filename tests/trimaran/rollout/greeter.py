"""A Python model that greets by a word of its version, and an ensemble of two of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ensembles import PythonModel
from ensembles.pipeline import Ensemble, Step, tensor
from ensembles.publish import publish_python_model, write_wiring
from trimaran.repository.repository import Repository

MODEL = "greeter"
ENSEMBLE = "greetings"
NAME = {"NAME": np.array([[b"Ada"]], np.object_)}
SOURCE = """
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        version = Path(args["model_repository"]) / args["model_version"]
        self.word = (version / "word.txt").read_bytes()
        if not self.word:
            raise ValueError("there is no word")

    def execute(self, requests):
        names = [pb_utils.get_input_tensor_by_name(r, "NAME").as_numpy() for r in requests]
        greetings = [self.word.decode() + " " + name[0, 0].decode() for name in names]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("GREETING", np.array([[g]], object))])
            for g in greetings
        ]
"""


def publish_word(repository: Repository, directory: Path, word: str, name: str = MODEL) -> int:
    """The version that says `word`; its source is written into `directory`."""
    source = directory / "model.py"
    source.write_text(SOURCE)
    model = PythonModel(
        name,
        [tensor("NAME", "BYTES", 1)],
        [tensor("GREETING", "BYTES", 1)],
        sources=[source],
        files={"word.txt": word.encode()},
    )
    return publish_python_model(repository, model, "test").version


def expect_politeness(repository: Repository, name: str) -> None:
    """A golden request whose answer has to hold `dear`."""
    golden = repository.model(name) / "golden"
    golden.mkdir()
    request = {"inputs": {"NAME": {"value": ["Ada"]}}, "expect": {"GREETING": {"contains": "dear"}}}
    (golden / "ada.json").write_text(json.dumps(request))


def write_greetings(repository: Repository, directory: Path) -> None:
    """The ensemble: `greeter` greets, and `closer` greets the greeting; neither is released yet."""
    publish_word(repository, directory, "hello dear")
    publish_word(repository, directory, "so", "closer")
    ensemble = Ensemble(
        ENSEMBLE,
        [tensor("NAME", "BYTES", 1)],
        [tensor("GREETING", "BYTES", 1)],
        [
            Step(MODEL, {"NAME": "NAME"}, {"GREETING": "MIDDLE"}),
            Step("closer", {"NAME": "MIDDLE"}, {"GREETING": "GREETING"}),
        ],
    )
    write_wiring(repository, ensemble)
    expect_politeness(repository, ENSEMBLE)
