"""`python -m proofs.peers.litserve_server PORT`: LitServe.

Its API processes hand each request to worker processes, one for each core as its documentation
says for CPUs. A record arrives as JSON, a photograph as the body.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import litserve  # type: ignore[import-not-found]
from fastapi import Body, HTTPException

from proofs.jobs.job import PHOTOGRAPH, given_files, open_job
from proofs.peers.setting import announce, given_setting

__all__ = ["main"]


class _Api(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self.job: Any = open_job(given_files(), given_setting().threads)
        announce()

    def predict(self, data: Any) -> Any:
        try:
            return self.answers(data) if given_setting().batch > 1 else self.answers([data])[0]
        except ValueError as error:
            raise HTTPException(400, str(error)) from None

    def answers(self, batch: Sequence[Any]) -> Any:
        raise NotImplementedError

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output


class _Photographs(_Api):
    def decode_request(
        self, request: Annotated[bytes, Body(media_type="application/octet-stream")]
    ) -> bytes:
        return request

    def answers(self, batch: Sequence[bytes]) -> list[dict[str, Any]]:
        return self.job.answer_many(batch)


class _Records(_Api):
    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        return request

    def answers(self, batch: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return self.job.answer_records(batch)


def main(port: int) -> None:
    """Serve until a signal."""
    setting = given_setting()
    kind = _Photographs if given_files().job == PHOTOGRAPH else _Records
    api = kind(max_batch_size=setting.batch, batch_timeout=setting.wait_ms / 1e3)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=setting.workers, fast_queue=setting.fast
    )
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=setting.servers or None,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
