"""Locust's events: requests are prepared, exact times kept, and a hopeless test is ended."""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from grpc.experimental.gevent import init_gevent  # type: ignore[import-untyped]
from locust import runners
from locust.env import Environment

from loadtests.gates import INVALID
from loadtests.locusts.calls import Call
from loadtests.locusts.choice import Choice, add_arguments, calls_by_protocol, chosen_configs
from loadtests.locusts.internals import Tables, own_figures, prevent_stalls
from loadtests.locusts.record import FACTS_SUFFIX, Recorder, Streak
from loadtests.locusts.users import Load, TritonUser
from trimaran.stats.latency import quantiles
from trimaran.system.errors import TrimaranError
from trimaran.system.processes import end_with_parent

__all__ = ["Lifecycle"]

_GIVE_UP = "trimaran_give_up"
_USER_RATE = "trimaran_user_rate"
_SECOND = 1.0

_logger = logging.getLogger("trimaran")


class Lifecycle:
    """One process's part in a test: alone, as the leader of workers, or as a worker."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.streak: Streak | None = None
        self.refusal = ""
        self.gave_up = ""
        self.cpu_began_s = 0.0
        self.directory: Path | None = None
        self.environment: Any = None
        self.from_s = self.until_s = 0.0
        self._tables: Tables | None = None
        self._prepared: tuple[Choice, dict[str, Sequence[Call]]] | None = None

    def listen(self, events: Any) -> None:
        """Listen to Locust's events."""
        events.init_command_line_parser.add_listener(add_arguments)
        events.init.add_listener(self.on_init)
        events.test_start.add_listener(self.on_test_start)
        events.request.add_listener(self.on_request)
        events.test_stopping.add_listener(self.on_test_stopping)
        events.test_stop.add_listener(self.on_test_stop)
        events.quit.add_listener(self.on_quit)

    def on_init(self, environment: Environment, **_: Any) -> None:
        """In each process, after Locust forked: gRPC must not be used before."""
        init_gevent()
        prevent_stalls()
        self.environment = environment
        options: Any = environment.parsed_options
        if not self._is_worker:
            environment.user_classes = [
                user
                for user in environment.user_classes
                if options.protocol in ("all", getattr(user, "protocol", "all"))
            ]
        self._runner.register_message(_GIVE_UP, self._on_worker_gave_up)
        if options.headless and not self._is_worker:
            # As an exception it would be raised at any line, and can get lost.
            gevent.signal_handler(signal.SIGINT, self._runner.quit)
        if options.run_directory:
            end_with_parent(signal.SIGKILL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            runners.WORKER_REPORT_INTERVAL = _SECOND
            self.directory = Path(options.run_directory)
            self.recorder = Recorder(self.directory)
            if not self._is_worker:
                self._tables = Tables(environment, self.directory)
        elif environment.host and options.headless and not self._is_leader:
            # Before the clock runs; a mistake is reported when the test starts.
            with suppress(TrimaranError):
                self._calls(Choice.of(options, environment.host))
        # Locust sets its timers by this loop's clock, which stood still while modules loaded.
        gevent.get_hub().loop.update_now()

    def on_test_start(self, environment: Environment, **_: Any) -> None:
        """Prepare requests, or end the test before it begins."""
        options: Any = environment.parsed_options
        self.gave_up = self.refusal = ""
        if self.directory is None:
            self.recorder = Recorder()
        try:
            choice = Choice.of(options, environment.host)
            if self._is_leader and choice.directory is None:
                chosen_configs(choice)
            if not self._is_worker and choice.rate is not None:
                setattr(options, _USER_RATE, choice.rate / self._users(options))
            if not self._is_leader:
                TritonUser.load = Load(
                    endpoint=choice.endpoint,
                    calls={
                        name: itertools.cycle(calls) for name, calls in self._calls(choice).items()
                    },
                    user_rate=getattr(options, _USER_RATE, None) if choice.rate else None,
                    timeout_s=choice.timeout_s,
                )
                self._skip_ahead(TritonUser.load)
        except TrimaranError as error:
            TritonUser.load = None
            self._give_up(str(error))
            if not self._is_worker:
                raise gevent.GreenletExit from error
            return
        self.from_s = time.perf_counter()
        self.streak = Streak(self.from_s, choice.patience_s) if choice.patience_s else None
        self.cpu_began_s = time.process_time()
        if self.directory is not None:
            gevent.spawn(self._each_second)
            if not self._is_worker:
                _report(started=True)

    def on_request(
        self, name: str, response_time: float, exception: Exception | None = None, **_: Any
    ) -> None:
        """Keep its exact times, and end the test after nothing but failures."""
        ended_s = time.perf_counter()
        latency_s = response_time / 1e3
        self.recorder.add(ended_s - latency_s, latency_s, exception is None)
        if exception is not None and not self.refusal:
            self.refusal = f"{name}: {_words(exception)}"
        if self.streak is not None and self.streak.add(ended_s, exception is None):
            self.streak = None
            self._give_up(f"nothing but failures any more: {name}: {_words(exception)}")

    def on_test_stopping(self, **_: Any) -> None:
        """From now on, users only finish their requests."""
        self.until_s = time.perf_counter()

    def on_test_stop(self, **_: Any) -> None:
        """Log the exact latencies, unless `trimaran locust` or a leader reports them."""
        if self.directory is not None or self._is_leader:
            return
        record = self.recorder.record()
        if not len(record.good):
            return
        exact = quantiles(record.latency_s)
        shown = ", ".join(f"{name} {seconds * 1e3:.3f}" for name, seconds in exact.items())
        _logger.info(
            "exact latencies of %d requests, %d of them failed, in ms: %s",
            len(record.good),
            int((~record.good).sum()),
            shown,
        )

    def on_quit(self, **_: Any) -> None:
        """Write this process's facts for `trimaran locust`."""
        if self.directory is None:
            return
        self.recorder.close()
        facts = {
            "cpu_s": time.process_time() - self.cpu_began_s if self.cpu_began_s else 0.0,
            "users_s": None if self._is_leader else (self.from_s, self.until_s),
            "refusal": self.refusal,
            "gave_up": self.gave_up,
            "locust": None if self._is_worker else own_figures(self.environment),
        }
        (self.directory / f"{os.getpid()}{FACTS_SUFFIX}").write_text(json.dumps(facts))
        if self._tables is not None:
            self._tables.finish()

    @property
    def _runner(self) -> Any:
        return self.environment.runner

    @property
    def _is_worker(self) -> bool:
        return isinstance(self.environment.runner, runners.WorkerRunner)

    @property
    def _is_leader(self) -> bool:
        return isinstance(self.environment.runner, runners.MasterRunner)

    def _users(self, options: Any) -> int:
        """How many users share the rate: the most users of a shape, or the requested ones."""
        if self.environment.shape_class is not None and options.num_users:
            return int(options.num_users)
        return max(int(self._runner.target_user_count), 1)

    def _calls(self, choice: Choice) -> dict[str, Sequence[Call]]:
        if self._prepared is None or self._prepared[0] != choice:
            self._prepared = choice, dict(calls_by_protocol(choice))
        return self._prepared[1]

    def _skip_ahead(self, load: Load) -> None:
        """Let each worker begin at another request and another time."""
        index = max(int(getattr(self._runner, "worker_index", 0)), 0)
        load.users = itertools.count(index, 2 if self._is_worker else 1)
        for calls in load.calls.values():
            for _ in range(index * 7):
                next(calls)

    def _give_up(self, words: str) -> None:
        """End the test in all processes; Locust's exit status is 2."""
        self.gave_up = self.gave_up or words
        if self._is_worker:
            self._runner.send_message(_GIVE_UP, words)
            return
        _logger.error(words)
        self.environment.process_exit_code = INVALID
        options = self.environment.parsed_options
        gevent.spawn(self._runner.quit if options.headless else self._runner.stop)

    def _on_worker_gave_up(self, msg: Any, **_: Any) -> None:
        if not self.gave_up:
            self._give_up(str(msg.data))

    def _each_second(self) -> None:
        counted, counted_s = 0, time.perf_counter()
        while True:
            gevent.sleep(_SECOND)
            self.recorder.flush()
            if self._is_worker:
                continue
            total, now_s = self._runner.stats.total, time.perf_counter()
            _report(
                users=self._runner.user_count,
                requests=total.num_requests,
                failures=total.num_failures,
                rate=(total.num_requests - counted) / (now_s - counted_s),
                p99_ms=total.get_response_time_percentile(0.99),
            )
            counted, counted_s = total.num_requests, now_s


def _words(exception: Exception | None) -> str:
    """A failure in a line: the server's message, or the error's type and message."""
    if exception is None:
        return ""
    text = str(exception)
    kind = type(exception).__name__
    return text if kind == "CatchResponseError" else f"{kind}: {text}" if text else kind


def _report(**facts: Any) -> None:
    """A line of JSON to `trimaran locust`, which may be gone."""
    try:
        print(json.dumps(facts), flush=True)
    except BrokenPipeError:
        sys.stdout = None
