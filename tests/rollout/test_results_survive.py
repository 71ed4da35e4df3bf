"""Results whose command is killed, and whose database ends, or is full, in the middle."""

from __future__ import annotations

import csv
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from tests.postgresql import PostgreSQL
from tests.rollout.live_shop import Place, finish_second, make_live, sqlite_at
from tests.rollout.project import Project
from tests.rollout.shop import customers, make_shop
from tests.running import TRIMARAN, kill_once, wait_for
from tests.trimaran.calling import call_trimaran
from trimaran.rollout.results.scoring import ROWS_AT_ONCE

pytestmark = pytest.mark.long

COPIES = 60
ROWS = 400 * COPIES
INSERTING = (
    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'trimaran' AND query LIKE 'INSERT%'"
)
WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted"
LARGEST = 1_500_000
"""Bytes; the rows take more."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two runs of a small table, of whose predictions there are many."""
    project = make_shop(tmp_path_factory.mktemp("trained"))
    project.call("run", "shop")
    path = next(project.folder.glob("runs/shop/*/predictions.csv"))
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    with path.open("w", newline="") as file:
        csv.writer(file).writerow(header)
        for copy in range(COPIES):
            csv.writer(file).writerows([f"{row[0]}-{copy}", *row[1:]] for row in rows)
    make_live(project, 1)
    finish_second(project)
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return Project(copytree(trained.folder, tmp_path / "shop"), "shop")


def at(project: Project, place: Place) -> Place:
    """Have the project's results go to a place, and its first run be there, and the second live."""
    settings = project.folder / "rollout.toml"
    settings.write_text(settings.read_text() + f'[results]\ndatabase = "{place.address}"\n')
    place.deliver(project)
    make_live(project, 2)
    return place


def deploy(project: Project, limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TRIMARAN, "deploy", "shop/2", "--by=bo"],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def assert_not_written(process: subprocess.Popen[str], place: Place, reason: str) -> None:
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.startswith("error: shop/2 is live, and shop_current does not show it: the results")
    assert reason in said
    assert said.endswith("; then run: trimaran deploy shop/2\n")
    assert said.count("\n") == 1


def assert_completed(project: Project, place: Place) -> None:
    assert place.shown() == ["shop/1"]
    said, wrong = deploy(project).communicate(timeout=120)
    assert f"{ROWS} rows, 200 of them with reasons" in said, wrong
    assert place.shown() == ["shop/2"]
    assert place.rows("SELECT count(*) FROM shop_current") == [(ROWS,)]


def postgresql(server: PostgreSQL, name: str) -> Place:
    return Place(server.make(name), lambda sql: server.rows(name, sql))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_command_that_is_killed_again_and_again(
    kind: str, project: Project, server: PostgreSQL, tmp_path: Path
) -> None:
    sqlite = sqlite_at(tmp_path / "results.db")
    place = at(project, sqlite if kind == "sqlite" else postgresql(server, "killed"))
    process = deploy(project)
    if kind == "sqlite":
        journal = tmp_path / "results.db-journal"
        wait_for(journal.exists, 60, "a row that is written")
    else:
        wait_for(lambda: server.rows("killed", INSERTING), 60, "a row that is written")
    wait_s = 0.7
    while True:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        counts = place.rows("SELECT run, count(*) FROM shop_current GROUP BY run")
        assert counts in ([("shop/1", ROWS)], [("shop/2", ROWS)])
        process = deploy(project)
        try:
            process.communicate(timeout=wait_s)
            break
        except subprocess.TimeoutExpired:
            wait_s *= 1.35
    assert place.rows("SELECT run, count(*) FROM shop_current GROUP BY run") == [("shop/2", ROWS)]
    assert place.rows("SELECT count(*) FROM trimaran_predictions") == [(2 * ROWS,)]


def test_a_server_that_ends_in_the_middle(project: Project, server: PostgreSQL) -> None:
    place = at(project, postgresql(server, "ended"))
    process = deploy(project)
    wait_for(lambda: server.rows("ended", INSERTING), 60, "a row that is written")
    server.stop(signal.SIGQUIT)
    try:
        assert_not_written(process, place, "refused: ")
        assert_not_written(deploy(project), place, "Connection refused")
    finally:
        server.start()
    assert_completed(project, place)


def test_a_server_whose_disk_is_full(project: Project, server: PostgreSQL) -> None:
    place = at(project, postgresql(server, "filled"))
    server.rows("filled", "TRUNCATE trimaran_predictions")
    server.stop()
    server.start(LARGEST)
    try:
        assert_not_written(deploy(project), place, "could not extend file")
    finally:
        server.stop()
        server.start()
    said, _ = deploy(project).communicate(timeout=120)
    assert f"{ROWS} rows" in said
    assert place.rows("SELECT count(*) FROM shop_current") == [(ROWS,)]


def test_a_file_that_cannot_grow(project: Project, tmp_path: Path) -> None:
    place = at(project, sqlite_at(tmp_path / "results.db"))
    largest = (tmp_path / "results.db").stat().st_size + LARGEST

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    assert_not_written(deploy(project, limit), place, "refused: ")
    assert_completed(project, place)


def test_scoring_that_is_killed_adds_each_row_once(
    project: Project, server: PostgreSQL, tmp_path: Path
) -> None:
    """It is killed while it waits for a row that another transaction holds, in its second part."""
    place = at(project, postgresql(server, "scores"))
    table = customers(4 * ROWS_AT_ONCE, 9, first=900)
    new = project.folder / "new.csv"
    scoring = ("score", "shop", "--from=new.csv", "--to=scores")
    table[:1].to_csv(new, index=False)
    assert call_trimaran(*scoring, cwd=project.folder).status == 0
    table.to_csv(new, index=False)
    there = 1
    for _ in range(3):
        with server.connect("scores") as other, other.transaction(force_rollback=True):
            other.execute(
                "INSERT INTO scores (identifier, run, answer, score, scored_at) "
                "VALUES (%s, 'shop/2', '', 0, now())",
                (f"c-{900 + there + ROWS_AT_ONCE}",),
            )
            command = [*TRIMARAN, *scoring]
            kill_once(command, project.folder, lambda: server.rows("scores", WAITING))
            there += ROWS_AT_ONCE
            assert place.rows("SELECT count(*) FROM scores") == [(there,)]
    done = call_trimaran(*scoring, cwd=project.folder)
    assert f"{len(table) - there} new rows of {len(table)}" in done.stdout, done.stderr
    assert place.rows("SELECT count(*), count(DISTINCT identifier) FROM scores") == [
        (len(table),) * 2
    ]
