"""A curve as Locust wants its shapes, scaled to `--users` and `--run-time`."""

from __future__ import annotations

from typing import Any, ClassVar

from locust import LoadTestShape

from loadtests.shapes.curves import LEAST_SECONDS

__all__ = ["CurveShape"]

_USERS, _SECONDS = 10, 60


class CurveShape(LoadTestShape):
    """Follows `curve`; every change is made within a second."""

    abstract = True
    use_common_options = True
    curve: ClassVar[Any]
    """A `Curve`."""

    def tick(self) -> tuple[int, float] | None:
        """The users that should be there now, and as spawn rate the same; `None` at the end."""
        options = self.runner.environment.parsed_options if self.runner else None
        users = int(getattr(options, "num_users", None) or _USERS)
        seconds = max(int(getattr(options, "run_time", None) or _SECONDS), LEAST_SECONDS)
        at = self.get_run_time()  # type: ignore[no-untyped-call]
        if at >= seconds:
            return None
        return type(self).curve(users, seconds, at), float(users)
