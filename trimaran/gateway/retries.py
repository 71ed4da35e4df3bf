"""When a request is sent to another server: only where running it twice does no harm."""

from __future__ import annotations

from datetime import timedelta

from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    RetryPolicy,
    RetryPolicyRetryHostPredicate,
    RetryPolicyRetryPriority,
)
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts.v3 import PreviousHostsPredicate
from envoy_data_plane.envoy.extensions.retry.priority.previous_priorities.v3 import (
    PreviousPrioritiesConfig,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from trimaran.gateway.messages import any_of

__all__ = ["NOT_RUN", "NO_ANSWER", "retries", "retries_elsewhere"]

_RETRIES = 3
NOT_RUN = "connect-failure,refused-stream,retriable-status-codes"
"""A request that has not run: no connection, a stream refused, or 503."""
NO_ANSWER = f"reset,{NOT_RUN}"
"""Or the connection ended before an answer, when running again does no harm."""
_UNAVAILABLE = 503
_FAILED = (400, 500, 502, 503, 504)
_FAILED_CALL = HeaderMatcher(
    name="grpc-status", string_match=StringMatcher(safe_regex=RegexMatcher(regex="[1-9][0-9]*"))
)


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


def retries_elsewhere(timeout_s: float) -> RetryPolicy:
    """Ask what is live wherever a candidate fails, or takes half of the time that there is.

    A candidate's failure is so not its clients'. What harms when it runs twice has no candidate.
    """
    return RetryPolicy(
        retry_on=f"{NO_ANSWER},gateway-error,retriable-headers",
        num_retries=2,
        per_try_timeout=timedelta(seconds=timeout_s / 2),
        retriable_status_codes=list(_FAILED),
        retriable_headers=[_FAILED_CALL],
        retry_priority=RetryPolicyRetryPriority(
            name="envoy.retry_priorities.previous_priorities",
            typed_config=any_of(PreviousPrioritiesConfig(update_frequency=1)),
        ),
    )
