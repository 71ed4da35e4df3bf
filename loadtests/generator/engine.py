"""Requests over many connections from one thread: at scheduled times, or one after another.

One epoll loop on sockets: a request costs the generator a few microseconds, which a server on
the same machine lacks.
"""

from __future__ import annotations

import ctypes
import gc
import math
import select
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from loadtests.generator.connection import Connection
from loadtests.generator.outcome import Outcome
from loadtests.generator.priority import first_in_line
from loadtests.generator.traffic import Traffic

__all__ = ["closed_loop", "open_loop", "poisson_arrivals"]

_PR_SET_TIMERSLACK = 29
_DRAIN_POLL_S = 0.05


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


class _Loop:
    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.epoll = select.epoll()
        self.by_fd: dict[int, Connection] = {}
        self.idle: list[Connection] = []
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

    def connect(self) -> Connection:
        # Before the clock starts there is time to wait for the handshakes.
        connection = Connection(self.traffic, wait=not self.sent)
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

    def start(self, connection: Connection, index: int, now: float) -> None:
        connection.index = index
        self.sent[index] = now
        self.outstanding += 1
        requests = self.traffic.requests
        self.write(connection, connection.codec.send(requests[index % len(requests)]))

    def answered(self, wait_s: float) -> list[Connection]:
        """Wait for answers, and read them; the connections that are free again."""
        if wait_s > 0:
            # epoll's own timeout counts whole milliseconds.
            select.select((self.epoll.fileno(),), (), (), wait_s)
        free = []
        for fd, event in self.epoll.poll(0):
            connection = self.by_fd.get(fd)
            if connection is None:
                continue
            if connection.handshaking:
                self.shake(connection)
                continue
            if event & select.EPOLLOUT:
                self.flush(connection)
            if event & ~select.EPOLLOUT and self.read(connection):
                free.append(connection)
        return free

    def shake(self, connection: Connection) -> None:
        """Go on with a connection's handshake, and send what waited for it."""
        try:
            if connection.shake():
                self.flush(connection)
        except OSError as error:
            self.drop(connection, str(error))

    def read(self, connection: Connection) -> bool:
        """Whether the connection's answer is complete now."""
        try:
            data = connection.receive()
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
        if connection.codec.closing:
            self.drop(connection, "")
        return connection.socket.fileno() in self.by_fd

    def write(self, connection: Connection, data: bytes) -> None:
        if connection.pending or connection.handshaking:
            connection.pending += data
            return
        try:
            wrote = connection.send(data)
        except BlockingIOError:
            wrote = 0
        except OSError as error:
            self.drop(connection, str(error))
            return
        if wrote < len(data):
            connection.pending = data[wrote:]
            connection.writing = True
            self.epoll.modify(connection.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def flush(self, connection: Connection) -> None:
        data, connection.pending = connection.pending, b""
        self.write(connection, data)
        if not connection.pending and connection.writing and connection.socket.fileno() >= 0:
            connection.writing = False
            self.epoll.modify(connection.socket.fileno(), select.EPOLLIN)

    def drop(self, connection: Connection, reason: str) -> None:
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
