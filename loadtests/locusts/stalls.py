"""Work of Locust's own that would hold up its users for a second, done before they start.

While one greenlet computes, no other runs, so it would be measured as the server's latency.
"""

from __future__ import annotations

import functools
import inspect

from locust import argument_parser

__all__ = ["prevent_stalls"]


def prevent_stalls() -> None:
    """Do it once, and remember it.

    A worker builds Locust's whole parser for each option whenever users are added, and a stopping
    runner looks for its caller's source, for which all modules are searched the first time.
    """
    if not hasattr(argument_parser.default_args_dict, "cache_info"):
        argument_parser.default_args_dict = functools.cache(  # type: ignore[assignment]
            argument_parser.default_args_dict
        )
    argument_parser.default_args_dict()
    inspect.stack()
