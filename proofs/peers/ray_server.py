"""`python -m proofs.peers.ray_server PORT DIRECTORY`: Ray Serve on one machine.

A replica for each core. A record is the body, as JSON, and so is a photograph. `DIRECTORY` is for
what Ray writes. Ray's replicas and its HAProxy's statistics listen on all interfaces, which no
setting changes; requests and the cluster itself are on loopback.
"""

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import ray  # type: ignore[import-not-found]
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proofs.jobs.job import given_files, open_job
from proofs.peers.setting import announce, given_setting

__all__ = ["main"]


def _response(answer: Callable[[], Any]) -> Response:
    try:
        return JSONResponse(answer())
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 400)


class Single:
    """Answers one request at a time."""

    def __init__(self) -> None:
        self.job: Any = open_job(given_files(), given_setting().threads)
        announce()

    async def __call__(self, request: Request) -> Response:
        """The answer to the body."""
        data = await request.body()
        return _response(lambda: self.job.answer(data))


class Batched:
    """Answers several requests together."""

    def __init__(self) -> None:
        setting = given_setting()
        self.job: Any = open_job(given_files(), setting.threads)
        self.together.set_max_batch_size(setting.batch)
        self.together.set_batch_wait_timeout_s(setting.wait_ms / 1e3)
        announce()

    async def __call__(self, request: Request) -> Response:
        """The answer to the body."""
        answer = await self.together(await request.body())
        return _response(lambda: answer)

    @serve.batch  # type: ignore[untyped-decorator]
    async def together(self, batch: list[bytes]) -> list[Any]:
        """The answers to several bodies."""
        return self.job.answer_many(batch)


def main(port: int, directory: str) -> None:
    """Serve until a signal."""
    setting = given_setting()
    ray.init(
        address="local",
        num_cpus=max(setting.workers, 2) + 1,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        _temp_dir=directory,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    application = serve.deployment(
        num_replicas=setting.workers,
        max_ongoing_requests=100,
        ray_actor_options={"num_cpus": 1},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )(Batched if setting.batch > 1 else Single)
    serve.run(application.bind(), route_prefix="/predict")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
