"""When a request is sent to another server: only where running it twice does no harm."""

from __future__ import annotations

from envoy_data_plane.envoy.config.route.v3 import RetryPolicy, RetryPolicyRetryHostPredicate
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts.v3 import PreviousHostsPredicate

from trimaran.gateway.messages import any_of

__all__ = ["NOT_RUN", "NO_ANSWER", "retries"]

_RETRIES = 3
NOT_RUN = "connect-failure,refused-stream,retriable-status-codes"
"""A request that has not run: no connection, a stream refused, or 503."""
NO_ANSWER = f"reset,{NOT_RUN}"
"""Or the connection ended before an answer, when running again does no harm."""
_UNAVAILABLE = 503


def retries(conditions: str) -> RetryPolicy:
    """Ask another server, at most three, under some conditions."""
    return RetryPolicy(
        retry_on=conditions,
        num_retries=_RETRIES,
        retriable_status_codes=[_UNAVAILABLE],
        host_selection_retry_max_attempts=5,
        retry_host_predicate=[
            RetryPolicyRetryHostPredicate(
                name="envoy.retry_host_predicates.previous_hosts",
                typed_config=any_of(PreviousHostsPredicate()),
            )
        ],
    )
