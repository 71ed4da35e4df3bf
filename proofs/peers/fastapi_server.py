"""FastAPI and ONNX Runtime: a uvicorn process for each core, uvloop and httptools.

Pydantic validates a record by a model made from the transform's fields; a photograph is the body.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from proofs.jobs.job import PHOTOGRAPH, Photographs, Records, given_files
from proofs.peers.messages import Churn, Labels, record_type
from proofs.peers.setting import announce, given_setting

__all__ = ["app"]


def _add_records(service: FastAPI, job: Records) -> None:
    record = record_type(given_files())

    @service.post("/predict")
    async def predict(record: record) -> Churn:  # type: ignore[valid-type]
        return Churn(**_checked(job.answer_checked, vars(record)))


def _add_photographs(service: FastAPI, job: Photographs, pool: int) -> None:
    if pool:
        threads = ThreadPoolExecutor(pool)

        @service.post("/predict")
        async def predict_beside(request: Request) -> Labels:
            data = await request.body()
            loop = asyncio.get_running_loop()
            return Labels(**await loop.run_in_executor(threads, _checked, job.answer, data))

    else:

        @service.post("/predict")
        async def predict(request: Request) -> Labels:
            return Labels(**_checked(job.answer, await request.body()))


def _checked(answer: Callable[[Any], Any], given: Any) -> Any:
    try:
        return answer(given)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


def _app() -> FastAPI:
    setting, files = given_setting(), given_files()
    service = FastAPI()
    if files.job == PHOTOGRAPH:
        _add_photographs(service, Photographs(files, setting.threads), setting.pool)
    else:
        _add_records(service, Records(files, setting.threads))
    announce()
    return service


app = _app()
