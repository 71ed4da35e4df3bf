"""BentoML: a service process for each core, adaptive batching of records where it is switched on.

Pydantic validates a record; one that may be batched comes in a JSON array, as BentoML wants it. A
photograph is the body. BentoML cannot put bodies together that are not JSON.
"""

from collections.abc import Callable
from typing import Annotated, Any

import bentoml  # type: ignore[import-not-found]
from bentoml.exceptions import InvalidArgument  # type: ignore[import-not-found]
from bentoml.validators import ContentType  # type: ignore[import-not-found]

from proofs.jobs.job import PHOTOGRAPH, Photographs, Records, given_files
from proofs.peers.messages import Churn, Labels, record_type
from proofs.peers.setting import announce, given_setting

__all__ = ["service"]

_SETTING, _FILES = given_setting(), given_files()
_OPTIONS: dict[str, Any] = {
    "workers": _SETTING.workers,
    "threads": _SETTING.pool or 1,
    "logging": {"access": {"enabled": False}},
    "metrics": {"enabled": False},
}


def _checked(answer: Callable[[Any], Any], given: Any) -> Any:
    try:
        return answer(given)
    except ValueError as error:
        raise InvalidArgument(str(error)) from None


def _photographs() -> Any:
    class Classifier:
        def __init__(self) -> None:
            self.job = Photographs(_FILES, _SETTING.threads)
            announce()

        if _SETTING.pool:

            @bentoml.api  # type: ignore[untyped-decorator]
            def predict(
                self, data: Annotated[bytes, ContentType("application/octet-stream")], /
            ) -> Labels:
                return Labels(**_checked(self.job.answer, data))

        else:

            @bentoml.api  # type: ignore[untyped-decorator]
            async def predict(
                self, data: Annotated[bytes, ContentType("application/octet-stream")], /
            ) -> Labels:
                return Labels(**_checked(self.job.answer, data))

    return Classifier


def _records() -> Any:
    record = record_type(_FILES)

    class Scorer:
        def __init__(self) -> None:
            self.job = Records(_FILES, _SETTING.threads)
            announce()

        if _SETTING.batch > 1:

            @bentoml.api(  # type: ignore[untyped-decorator]
                batchable=True,
                max_batch_size=_SETTING.batch,
                max_latency_ms=round(_SETTING.wait_ms),
            )
            async def predict(self, records: list[record], /) -> list[Churn]:  # type: ignore[valid-type]
                found = _checked(self.job.answer_records, [vars(item) for item in records])
                return [Churn(**item) for item in found]

        else:

            @bentoml.api  # type: ignore[untyped-decorator]
            async def predict(self, record: record, /) -> Churn:  # type: ignore[valid-type]
                return Churn(**_checked(self.job.answer_checked, vars(record)))

    return Scorer


service = bentoml.service(**_OPTIONS)(_photographs() if _FILES.job == PHOTOGRAPH else _records())
