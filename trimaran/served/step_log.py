"""The log of the last step of an ensemble, which costs nothing where predictions are not logged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import triton_python_backend_utils as pb_utils

    from trimaran.served.logged_predictions import EnsembleLog

__all__ = ["StepLog"]


class StepLog:
    """What a step logs for its ensemble, if the server keeps predictions."""

    def __init__(self, args: Mapping[str, str]) -> None:
        """Raises `ValueError` for parameters that are not understood."""
        self._log: EnsembleLog | None = None
        if os.environ.get("TRIMARAN_PREDICTIONS"):
            # It needs orjson, which a server without a log need not have.
            from trimaran.served.logged_predictions import EnsembleLog

            self._log = EnsembleLog(args)

    def keep(self, request: pb_utils.InferenceRequest, outputs: Mapping[str, np.ndarray]) -> None:
        """Queue a request's answers, arrays `[rows, values]`, or count them as dropped."""
        if self._log:
            self._log.keep(request, outputs)

    def close(self) -> None:
        """Write the waiting rows."""
        if self._log:
            self._log.close()
