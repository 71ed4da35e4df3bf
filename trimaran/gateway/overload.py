"""What Envoy does before it runs out of memory or connections.

A body is held until it is whole, so that a client with many large ones, sent slowly, could take all
memory of the machine. Near the limit the largest streams of HTTP/2 are reset, and requests that
stand still are ended early; at the limit new ones are answered with 503, until some has been freed.
"""

from __future__ import annotations

from datetime import timedelta

from betterproto2 import Message
from envoy_data_plane.envoy.config.overload.v3 import (
    BufferFactoryConfig,
    OverloadAction,
    OverloadManager,
    ResourceMonitor,
    ScaledTrigger,
    ScaleTimersOverloadActionConfig,
    ScaleTimersOverloadActionConfigScaleTimer,
    ScaleTimersOverloadActionConfigTimerType,
    ThresholdTrigger,
    Trigger,
)
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 import (
    DownstreamConnectionsConfig,
)
from envoy_data_plane.envoy.extensions.resource_monitors.fixed_heap.v3 import FixedHeapConfig

from trimaran.gateway.messages import any_of

__all__ = ["overload_manager"]

_MOST_CONNECTIONS = 10_000
_HEAP = "envoy.resource_monitors.fixed_heap"
_STILL = timedelta(seconds=2)
"""How long a request may stand still when memory is nearly used up."""
_TRACKED = 20
"""Streams that hold at least so much, as a power of two, are reset when memory gets short."""


def overload_manager(memory_mb: int) -> OverloadManager:
    """The limits of one Envoy."""
    timers = ScaleTimersOverloadActionConfig(
        timer_scale_factors=[
            ScaleTimersOverloadActionConfigScaleTimer(
                timer=ScaleTimersOverloadActionConfigTimerType.HTTP_DOWNSTREAM_STREAM_IDLE,
                min_timeout=_STILL,
            )
        ]
    )
    return OverloadManager(
        refresh_interval=timedelta(seconds=0.1),
        resource_monitors=[
            _monitor(
                "envoy.resource_monitors.global_downstream_max_connections",
                DownstreamConnectionsConfig(max_active_downstream_connections=_MOST_CONNECTIONS),
            ),
            _monitor(_HEAP, FixedHeapConfig(max_heap_size_bytes=memory_mb << 20)),
        ],
        buffer_factory_config=BufferFactoryConfig(minimum_account_to_track_power_of_two=_TRACKED),
        actions=[
            _action("shrink_heap", _from(0.75)),
            _action("reset_high_memory_stream", _between(0.75, 0.9)),
            _action("reduce_timeouts", _between(0.6, 0.85), timers),
            _action("disable_http_keepalive", _from(0.9)),
            _action("stop_accepting_requests", _from(0.95)),
        ],
    )


def _monitor(name: str, config: Message) -> ResourceMonitor:
    return ResourceMonitor(name=name, typed_config=any_of(config))


def _action(name: str, trigger: Trigger, config: Message | None = None) -> OverloadAction:
    action = OverloadAction(name=f"envoy.overload_actions.{name}", triggers=[trigger])
    if config is not None:
        action.typed_config = any_of(config)
    return action


def _from(part: float) -> Trigger:
    """From a part of the memory on."""
    return Trigger(name=_HEAP, threshold=ThresholdTrigger(value=part))


def _between(least: float, most: float) -> Trigger:
    """More and more between two parts of the memory."""
    scaled = ScaledTrigger(scaling_threshold=least, saturation_threshold=most)
    return Trigger(name=_HEAP, scaled=scaled)
