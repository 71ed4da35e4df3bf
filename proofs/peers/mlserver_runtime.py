"""MLServer: a custom runtime, with a custom endpoint and the standard one.

The endpoint takes a record as JSON, or a photograph as the body. The standard one, V2 in JSON, is
the only one that MLServer batches; a photograph is base64 there. The model runs in the server's
own process, or in worker processes.
"""

import base64
import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Body, HTTPException
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.handlers import custom_handler  # type: ignore[import-not-found]
from mlserver.types import (  # type: ignore[import-not-found]
    InferenceRequest,
    InferenceResponse,
    ResponseOutput,
)

from proofs.jobs.job import PHOTOGRAPH, given_files, open_job
from proofs.peers.setting import announce, given_setting

__all__ = ["Photographs", "Records"]


def _checked(answer: Callable[[Any], Any], given: Any) -> Any:
    try:
        return answer(given)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


class _Runtime(MLModel):  # type: ignore[misc]
    async def load(self) -> bool:
        self.job: Any = open_job(given_files(), given_setting().threads)
        announce()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        data = payload.inputs[0].data
        inputs = [item.encode() if isinstance(item, str) else item for item in data]
        if given_files().job == PHOTOGRAPH:
            inputs = [base64.b64decode(item) for item in inputs]
        texts = [json.dumps(answer) for answer in _checked(self.job.answer_many, inputs)]
        output = ResponseOutput(name="answer", datatype="BYTES", shape=[len(texts), 1], data=texts)
        return InferenceResponse(model_name=self.name, outputs=[output])


class Photographs(_Runtime):
    """Photographs."""

    @custom_handler(rest_path="/predict")  # type: ignore[untyped-decorator]
    async def classify(
        self, data: Annotated[bytes, Body(media_type="application/octet-stream")]
    ) -> dict[str, Any]:
        """The labels of a photograph."""
        return _checked(self.job.answer, data)


class Records(_Runtime):
    """Records."""

    @custom_handler(rest_path="/predict")  # type: ignore[untyped-decorator]
    async def score(self, record: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """The answer to a record."""
        return _checked(self.job.answer_records, [record])[0]
