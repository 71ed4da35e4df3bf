"""Requests over many connections from one thread: at scheduled times, or one after another.

One epoll loop on plain sockets: a request costs the generator a few microseconds, which a server on
the same machine lacks.
"""

from __future__ import annotations

import ctypes
import gc
import math
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from loadtests.generator.outcome import Outcome
from loadtests.generator.priority import first_in_line

__all__ = ["Codec", "Traffic", "closed_loop", "open_loop", "poisson_arrivals"]

_PR_SET_TIMERSLACK = 29
_READ_BYTES = 1 << 18
_CONNECT_S = 5.0
_DRAIN_POLL_S = 0.05


class Codec(Protocol):
    """One connection's protocol: bytes to write, and when an answer is complete."""

    greeting: bytes
    refusal: str
    """The text of the last answer that was not good."""

    def send(self, request: bytes) -> bytes:
        """What to write for a prepared request."""

    def feed(self, data: bytes) -> tuple[bool | None, bytes]:
        """Whether the answer is good, `None` while it is incomplete; and what to write now."""


@dataclass(frozen=True)
class Traffic:
    """Where requests go, their protocol, and the requests, which are sent in turn."""

    address: tuple[str, int]
    codec: Callable[[], Codec]
    requests: Sequence[bytes]


def poisson_arrivals(rate: float, seconds: float, seed: int) -> np.ndarray:
    """Times in seconds from the start, float64 `[requests]`, ascending, at `rate` per second.

    The same arguments give the same times; there is at least one.
    """
    generator = np.random.default_rng(seed)
    expected = max(rate * seconds, 1.0)
    gaps = generator.exponential(1 / rate, size=int(expected + 10 * expected**0.5 + 10))
    times = np.cumsum(gaps)
    return times[times < seconds] if times[0] < seconds else np.array([seconds / 2])


def open_loop(
    traffic: Traffic,
    arrivals_s: np.ndarray,
    *,
    connections: int = 512,
    warm: int = 32,
    drain_s: float = 10.0,
) -> Outcome:
    """Send request `i` at `arrivals_s[i]`, whatever happened to earlier ones.

    `warm` connections are made before the clock starts, more when they are needed, and at most
    `connections`; beyond that a request waits, and its latency runs on. Answers are waited for
    until `drain_s` after the last arrival. Ends early where the server takes no more connections,
    and at an interrupt from the keyboard; the outcome has the requests until then.
    Raises `ConnectionError` or `OSError` where no server listens at the start.
    """
    loop = _Loop(traffic)
    schedule = arrivals_s.tolist()
    total, following, waiting = len(schedule), 0, deque[int]()
    with loop.running():
        loop.idle = [loop.connect() for _ in range(min(warm, connections))]
        loop.start_clock()
        while True:
            now = loop.clock()
            while following < total and schedule[following] <= now:
                index = loop.add(schedule[following], now)
                following += 1
                if loop.idle:
                    loop.start(loop.idle.pop(), index, now)
                elif len(loop.by_fd) < connections:
                    loop.start(loop.connect(), index, now)
                else:
                    waiting.append(index)
                now = loop.clock()
            if following < total:
                wait = schedule[following] - now
            elif (loop.outstanding or waiting) and now < schedule[-1] + drain_s:
                wait = _DRAIN_POLL_S
            else:
                break
            for connection in loop.answered(wait):
                if waiting:
                    loop.start(connection, waiting.popleft(), loop.clock())
                else:
                    loop.idle.append(connection)
            # Requests may wait although connections were lost, and no answer comes any more.
            while waiting and len(loop.by_fd) < connections:
                loop.start(loop.connect(), waiting.popleft(), loop.clock())
    return loop.outcome()


def closed_loop(
    traffic: Traffic, *, connections: int, seconds: float, drain_s: float = 10.0
) -> Outcome:
    """Each connection sends its next request when the last one is answered, for some seconds.

    Ends and raises as `open_loop`.
    """
    loop = _Loop(traffic)
    with loop.running():
        free = [loop.connect() for _ in range(connections)]
        loop.start_clock()
        while True:
            for connection in free:
                now = loop.clock()
                if now < seconds:
                    loop.start(connection, loop.add(now, now), now)
            now = loop.clock()
            if not loop.outstanding and now >= seconds:
                break
            if now > seconds + drain_s:
                break
            free = loop.answered(_DRAIN_POLL_S)
            if now < seconds:
                free += [loop.connect() for _ in range(connections - len(loop.by_fd))]
    return loop.outcome()


class _Connection:
    __slots__ = ("codec", "index", "pending", "socket", "writing")

    def __init__(self, traffic: Traffic) -> None:
        self.codec = traffic.codec()
        self.index = -1
        self.pending = b""
        self.writing = False
        self.socket = socket.create_connection(traffic.address, timeout=_CONNECT_S)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.codec.greeting:
                self.socket.sendall(self.codec.greeting)
        except OSError:
            self.socket.close()
            raise
        self.socket.setblocking(False)


class _Loop:
    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.epoll = select.epoll()
        self.by_fd: dict[int, _Connection] = {}
        self.idle: list[_Connection] = []
        self.scheduled: list[float] = []
        self.tried: list[float] = []
        self.sent: list[float] = []
        self.done: list[float] = []
        self.good: list[bool] = []
        self.outstanding = 0
        self.began = self.cpu_began = 0.0
        self.broken = ""
        self.interrupted = False
        self.refusal = ""

    def clock(self) -> float:
        return time.perf_counter() - self.began

    def start_clock(self) -> None:
        self.cpu_began = time.process_time()
        self.began = time.perf_counter()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The measurement; an interrupt or a vanished server ends it early.

        Where no server listens at the start, the error is the caller's.
        """
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        collects = gc.isenabled()
        gc.collect()
        gc.disable()
        self.start_clock()
        try:
            with first_in_line():
                yield
        except KeyboardInterrupt:
            self.interrupted = True
        except OSError as error:
            if not self.sent:
                self.close()
                raise
            self.broken = f"the server takes no more connections: {error.strerror or error}"
        finally:
            if collects:
                gc.enable()

    def connect(self) -> _Connection:
        connection = _Connection(self.traffic)
        self.by_fd[connection.socket.fileno()] = connection
        self.epoll.register(connection.socket.fileno(), select.EPOLLIN)
        return connection

    def add(self, scheduled: float, tried: float) -> int:
        """Add a request, not sent yet; its index."""
        self.scheduled.append(scheduled)
        self.tried.append(tried)
        self.sent.append(math.nan)
        self.done.append(math.nan)
        self.good.append(False)
        return len(self.sent) - 1

    def start(self, connection: _Connection, index: int, now: float) -> None:
        connection.index = index
        self.sent[index] = now
        self.outstanding += 1
        requests = self.traffic.requests
        self.write(connection, connection.codec.send(requests[index % len(requests)]))

    def answered(self, wait_s: float) -> list[_Connection]:
        """Wait for answers, and read them; the connections that are free again."""
        if wait_s > 0:
            # epoll's own timeout counts whole milliseconds.
            select.select((self.epoll.fileno(),), (), (), wait_s)
        free = []
        for fd, event in self.epoll.poll(0):
            connection = self.by_fd.get(fd)
            if connection is None:
                continue
            if event & select.EPOLLOUT:
                self.flush(connection)
            if event & ~select.EPOLLOUT and self.read(connection):
                free.append(connection)
        return free

    def read(self, connection: _Connection) -> bool:
        """Whether the connection's answer is complete now."""
        try:
            data = connection.socket.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError("the server closed a connection")
            good, reply = connection.codec.feed(data)
        except BlockingIOError:
            return False
        except (OSError, ValueError) as error:
            self.drop(connection, str(error))
            return False
        if reply:
            self.write(connection, reply)
        if good is None or connection.index < 0:
            return False
        self.done[connection.index] = self.clock()
        self.good[connection.index] = good
        if not good:
            self.refusal = self.refusal or connection.codec.refusal
        connection.index = -1
        self.outstanding -= 1
        return connection.socket.fileno() in self.by_fd

    def write(self, connection: _Connection, data: bytes) -> None:
        if connection.pending:
            connection.pending += data
            return
        try:
            wrote = connection.socket.send(data)
        except BlockingIOError:
            wrote = 0
        except OSError as error:
            self.drop(connection, str(error))
            return
        if wrote < len(data):
            connection.pending = data[wrote:]
            connection.writing = True
            self.epoll.modify(connection.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def flush(self, connection: _Connection) -> None:
        data, connection.pending = connection.pending, b""
        self.write(connection, data)
        if not connection.pending and connection.writing and connection.socket.fileno() >= 0:
            connection.writing = False
            self.epoll.modify(connection.socket.fileno(), select.EPOLLIN)

    def drop(self, connection: _Connection, reason: str) -> None:
        """Give up a connection, and with it the request that it carries."""
        fd = connection.socket.fileno()
        if self.by_fd.pop(fd, None) is None:
            return
        self.epoll.unregister(fd)
        connection.socket.close()
        if connection in self.idle:
            self.idle.remove(connection)
        if connection.index >= 0:
            self.refusal = self.refusal or reason
            self.outstanding -= 1
            connection.index = -1

    def close(self) -> None:
        for connection in self.by_fd.values():
            connection.socket.close()
        self.epoll.close()

    def outcome(self) -> Outcome:
        wall_s, cpu_s = self.clock(), time.process_time() - self.cpu_began
        self.close()
        return Outcome(
            np.array(self.scheduled),
            np.array(self.tried),
            np.array(self.sent),
            np.array(self.done),
            np.array(self.good, dtype=bool),
            wall_s,
            cpu_s,
            self.broken,
            self.interrupted,
            self.refusal,
        )
