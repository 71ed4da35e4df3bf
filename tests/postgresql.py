"""A real PostgreSQL for tests: this machine's, or Debian's package unpacked."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg

from tests.programs import require
from tests.running import wait_for
from trimaran.system.debian import library_path
from trimaran.system.ports import free_ports

USER, SECRET = "trimaran", "pa/ss@w:rd"
_ENCODED = "pa%2Fss%40w%3Ard"
_NOBODY = 65534
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "8MB",
    "max_connections": "20",
    "jit": "off",
    "log_min_messages": "fatal",
}


@dataclass
class PostgreSQL:
    """A server in a folder of its own, by a password only."""

    folder: Path
    programs: Path
    environment: Mapping[str, str]
    port: int
    process: subprocess.Popen[bytes] | None = None

    def address(self, database: str = "postgres", secret: str = _ENCODED) -> str:
        return f"postgresql://{USER}:{secret}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> Any:
        return closing(psycopg.connect(self.address(database), autocommit=True))

    def rows(self, database: str, sql: str) -> list[Any]:
        with self.connect(database) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def make(self, database: str) -> str:
        """A new database, and its address."""
        self.rows("postgres", f"CREATE DATABASE {database}")
        return self.address(database)

    def start(self, largest_file: int | None = None) -> None:
        """Start it; with `largest_file` bytes its files are full, as on a full disk."""
        options = {**_SETTINGS, "port": str(self.port)}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]

        def limit() -> None:
            if largest_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data", *settings],
                preexec_fn=limit,
                stderr=log,
                env={**os.environ, **self.environment},
                **_as_whom(),
            )
        wait_for(self._answers, 30, "a PostgreSQL that answers")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT at once and in order, SIGQUIT as if it had crashed."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            self.rows("postgres", "SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """A server for the time of the block."""
    folder = Path(mkdtemp(prefix="pg-"))
    try:
        server = _made(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)


def _made(folder: Path) -> PostgreSQL:
    found = require("postgres")
    programs, environment = found.path.parent, found.environment
    if os.geteuid() == 0:  # PostgreSQL does not run as root, and its user may not reach the cache
        folder.chmod(0o755)
        if environment:
            root = programs.parents[4]
            copy = shutil.copytree(root, folder / "programs")
            programs = copy / programs.relative_to(root)
            environment = {"LD_LIBRARY_PATH": library_path(copy)}
    secret = folder / "secret"
    secret.write_text(SECRET)
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        for path in (data, secret):
            os.chown(path, _NOBODY, _NOBODY)
    subprocess.run(
        [
            *(programs / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256"),
            *("--pwfile", secret, "--no-sync", "--locale=C", "--encoding=UTF8", "--wal-segsize=1"),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, **environment},
        **_as_whom(),
    )
    return PostgreSQL(folder, programs, environment, free_ports().http)


def _as_whom() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": [], "cwd": "/"}
