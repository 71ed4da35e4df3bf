"""Triton's side of tokenizing: `TEXT` BYTES `[1]` to `TOKENS` INT64 `[-1]`.

`TRUNCATED`, BOOL `[1]`, says whether the end of the text was left out. All rows of one request have
one length, and requests of equal lengths meet in one batch of the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from trimaran.served.boundary import Failed, attempt
from trimaran.served.failures import counted
from trimaran.served.pulse import beating
from trimaran.served.refusal import RefusedError
from trimaran.served.texts import MOST_BYTES, read_text
from trimaran.served.tokens import Encoding

__all__ = ["TritonPythonModel"]


@beating
@counted
class TritonPythonModel:
    """One instance of one version, whose `encoding.json` and `vocabulary.json` decide."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read both files, and the parameter `max_bytes`.

        Raises `TritonModelException` for a parameter that is no number, and without `tokenizers`
        where the version needs it.
        """
        self.name = args["model_name"]
        directory = Path(args["model_repository"]) / args["model_version"]
        self.most_bytes = _most_bytes(json.loads(args["model_config"])["parameters"])
        self.encoding = Encoding.from_json((directory / "encoding.json").read_text())
        vocabulary = (directory / "vocabulary.json").read_text(encoding="utf-8")
        try:
            self.tokenizer = self.encoding.tokenizer(vocabulary)
        except ModuleNotFoundError as error:
            raise pb_utils.TritonModelException(
                f"the Python package {error.name} is not installed where Triton runs; install it "
                "there, as trimaran's extra 'text' does"
            ) from error

    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        """One response per request; a bad text fails its own request and no other."""
        groups = [attempt(self.texts_of, request) for request in requests]
        read = [group for group in groups if not isinstance(group, Failed)]
        together = attempt(self.answer_all, read)
        if isinstance(together, Failed):
            alone = [attempt(self.answer_all, [group]) for group in read]
            answers = iter(
                [
                    each.response(self.name) if isinstance(each, Failed) else each[0]
                    for each in alone
                ]
            )
        else:
            answers = iter(together)
        return [
            group.response(self.name) if isinstance(group, Failed) else next(answers)
            for group in groups
        ]

    def texts_of(self, request: pb_utils.InferenceRequest) -> list[str]:
        """The texts of a request. Raises `RefusedError` for the first that cannot be used."""
        rows = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)
        texts = []
        for place, data in enumerate(rows):
            try:
                texts.append(read_text(data, self.most_bytes))
            except RefusedError as error:
                which = f"text {place} of {len(rows)}" if len(rows) > 1 else "the text"
                raise RefusedError(f"{which} {error}") from error
        return texts

    def answer_all(self, groups: Sequence[Sequence[str]]) -> list[pb_utils.InferenceResponse]:
        """The responses to requests, whose texts are tokenized together."""
        encoded = iter(self.tokenizer.encode([text for group in groups for text in group]))
        responses = []
        for group in groups:
            rows = [next(encoded) for _ in group]
            tokens = self.encoding.padded([ids for ids, _ in rows])
            truncated = np.array([[cut] for _, cut in rows], np.bool_)
            responses.append(
                pb_utils.InferenceResponse(
                    [pb_utils.Tensor("TOKENS", tokens), pb_utils.Tensor("TRUNCATED", truncated)]
                )
            )
        return responses


def _most_bytes(parameters: Mapping[str, Mapping[str, str]]) -> int:
    written = parameters.get("max_bytes", {}).get("string_value", str(MOST_BYTES))
    if not written.isdecimal():
        raise pb_utils.TritonModelException(
            f"the parameter max_bytes is {written!r}; write a number of bytes, such as {MOST_BYTES}"
        )
    return int(written)
