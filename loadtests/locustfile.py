"""Load on a Triton server with Locust: `locust -f loadtests/locustfile.py --host http://HOST:8000`.

Importing Locust patches the standard library for gevent, and gRPC must be imported after that.
"""

from __future__ import annotations

from locust import events

from loadtests.locusts.lifecycle import Lifecycle
from loadtests.locusts.users import BinaryHttpUser, GrpcUser, JsonHttpUser

__all__ = ["BinaryHttpUser", "GrpcUser", "JsonHttpUser"]

Lifecycle().listen(events)
