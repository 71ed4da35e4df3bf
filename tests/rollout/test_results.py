"""Results of runs in SQLite and in a real PostgreSQL, and the views that follow what is live."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path
from shutil import copytree
from urllib.parse import quote

import pytest

from tests.postgresql import SECRET, PostgreSQL
from tests.rollout.live_shop import Place, finish_second, go_live, make_live, sqlite_at
from tests.rollout.project import Project
from tests.rollout.shop import customers, make_shop
from tests.trimaran.calling import call_trimaran
from trimaran.repository.config import ModelConfig, write_config
from trimaran.repository.live import LiveRelease, render_deployed
from trimaran.rollout.results.database import DatabaseError, open_database
from trimaran.rollout.results.people import remove_people, rows_of_people
from trimaran.rollout.results.schema import MIGRATIONS, migrate
from trimaran.rollout.runs.decisions import deciding
from trimaran.rollout.runs.settings import Plan
from trimaran.rollout.runs.training import begin
from trimaran.serving.embedded_config import write_live
from trimaran.system.errors import TrimaranError

NUMBERS = count(1)
_SECRETS = [each.encode() for each in (SECRET, quote(SECRET, ""), quote(SECRET), SECRET[3:])]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A pending run of a small table."""
    project = make_shop(tmp_path_factory.mktemp("trained"))
    project.call("run", "shop")
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A copy of it, which is live by what the ledger says."""
    made = Project(copytree(trained.folder, tmp_path / "shop"), "shop")
    make_live(made, 1)
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, server: PostgreSQL) -> Place:
    if request.param == "sqlite":
        return sqlite_at(tmp_path / "results.db")
    name = f"results_{next(NUMBERS)}"
    return Place(server.make(name), lambda sql: server.rows(name, sql))


def test_views_show_the_run_that_is_live(project: Project, place: Place) -> None:
    done = place.deliver(project)
    assert (done.predictions, done.explained, done.changed) == (400, 200, True)
    row = place.rows(
        "SELECT identifier, answer, score, baseline, reasons, outcome, part, release "
        "FROM shop_current WHERE identifier = 'c-0'"
    )[0]
    assert (row[0], row[1], row[5:]) == ("c-0", "true", ("true", "test", 1))
    reasons = place.rows(
        "SELECT feature, value, contribution FROM shop_current_reasons "
        "WHERE identifier = 'c-0' ORDER BY place"
    )
    assert [each[:2] for each in reasons] == [("calls", "2"), ("plan", "month")]
    assert sum(each[2] for each in reasons) == pytest.approx(row[2] - row[3], abs=1e-6)
    assert row[4].startswith(f"calls = 2 ({reasons[0][2]:+.3g}), plan = month (")
    unexplained = "SELECT count(*) FROM shop_current WHERE reasons IS NULL AND part = 'test'"
    assert place.rows(unexplained) == [(0,)]
    assert place.deliver(project).changed is False

    finish_second(project)
    make_live(project, 2)
    assert place.deliver(project).predictions == 400
    assert place.shown() == ["shop/2"]
    go_live(project, 1)
    again = place.deliver(project)
    assert (again.predictions, again.changed, place.shown()) == (0, True, ["shop/1"])
    go_live(project, 9)
    assert place.deliver(project).run is None
    assert place.shown() == []

    assert remove_people(open_database(place.address), ["c-0", "c-9999"]) == {"c-0": 2}
    assert rows_of_people(open_database(place.address), ["c-0"]) == {}
    assert place.rows("SELECT count(*) FROM trimaran_predictions") == [(798,)]
    assert place.rows("SELECT count(*) FROM trimaran_reasons WHERE row_number = 0") == [(0,)]


def test_a_deployment_that_was_killed_after_its_switch_is_told_once_it_is_finished(
    trained: Project, tmp_path: Path
) -> None:
    project = Project(copytree(trained.folder, tmp_path / "shop"), "shop")
    with deciding(project.repository) as now:
        now.writer.add("bo", "deploying", "shop/1", {"persist": False})
        now.writer.add("bo", "prepared", "shop/1", {"parts": {"shop": 1}})
    config = ModelConfig(name="shop", platform="ensemble")
    project.repository.model("shop").mkdir()
    write_config(project.repository.config_path("shop"), config)
    write_live(project.repository, render_deployed(config, LiveRelease(1)))
    assert "400 rows, 200 of them with reasons" in project.call("deploy", "shop/1", by="bo").stdout
    assert project.told("shop/1")[-1].split()[0] == "deployed"


def test_what_the_database_refuses_in_the_middle_leaves_nothing_and_is_done_later(
    project: Project, place: Place
) -> None:
    place.deliver(project)
    finish_second(project)
    make_live(project, 2)
    if place.address.startswith("postgresql"):
        place.rows(
            "ALTER TABLE trimaran_predictions ADD CONSTRAINT full_up "
            "CHECK (run <> 'shop/2' OR row_number < 300)"
        )
        freed = "ALTER TABLE trimaran_predictions DROP CONSTRAINT full_up"
    else:
        place.rows(
            "CREATE TRIGGER full_up BEFORE INSERT ON trimaran_predictions "
            "WHEN NEW.run = 'shop/2' AND NEW.row_number = 300 "
            "BEGIN SELECT RAISE(ABORT, 'full_up'); END"
        )
        freed = "DROP TRIGGER full_up"
    with pytest.raises(DatabaseError, match="full_up"):
        place.deliver(project)
    assert place.shown() == ["shop/1"]
    assert place.rows("SELECT count(*) FROM trimaran_predictions WHERE run = 'shop/2'") == [(0,)]
    place.rows(freed)
    assert place.deliver(project).predictions == 400
    assert place.shown() == ["shop/2"]


def test_tables_are_migrated_once_in_order_and_not_by_an_older_program(
    project: Project, place: Place
) -> None:
    database = open_database(place.address)

    def migrated(*more: str) -> None:
        with database.writing() as session:
            migrate(session, database, [*MIGRATIONS, *([statement] for statement in more)])

    threads = [threading.Thread(target=migrated) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.rows("SELECT version FROM trimaran_schema") == [(len(MIGRATIONS),)]
    place.deliver(project)
    added = "ALTER TABLE trimaran_runs ADD COLUMN more TEXT"
    with pytest.raises(DatabaseError):
        migrated(added, "ALTER TABLE trimaran_nothing ADD COLUMN more TEXT")
    assert place.rows("SELECT version FROM trimaran_schema") == [(len(MIGRATIONS),)]
    migrated(added)
    assert place.rows("SELECT more FROM trimaran_runs") == [(None,)]
    with pytest.raises(DatabaseError, match=f"version {len(MIGRATIONS) + 1}, and this program"):
        place.deliver(project)
    assert place.shown() == ["shop/1"]


def test_a_namesake_of_another_repository_is_not_taken_for_this_one(
    project: Project, trained: Project, tmp_path: Path
) -> None:
    place = sqlite_at(tmp_path / "results.db")
    place.deliver(project)
    other = make_shop(tmp_path / "other")
    begun = begin(other.repository, Plan("shop", "shop.csv"), "shop.csv", "anna")
    with deciding(project.repository) as now, deciding(other.repository) as theirs:
        theirs.writer.add("anna", "finished", begun.id, now.runs["shop/1"].outcome)
    make_live(other, 1)
    with pytest.raises(DatabaseError, match="has another run shop/1, of another repository"):
        place.deliver(other)


def test_new_rows_are_scored_once_from_a_file_and_from_a_table(
    project: Project, server: PostgreSQL
) -> None:
    address = server.make("scoring")
    settings = project.folder / "rollout.toml"
    settings.write_text(settings.read_text() + f'[results]\ndatabase = "{address}"\n')
    rows = customers(60, 9, first=900)
    rows[:50].to_csv(project.folder / "new.csv", index=False)
    said = [scored(project, "new.csv") for _ in range(2)]
    assert [each.partition(",")[0] for each in said] == [
        "shop/1 scored 50 new rows of 50",
        "shop/1 scored 0 new rows of 50",
    ]
    with server.connect("scoring") as connection:
        connection.execute("CREATE TABLE callers (customer_id text, calls numeric, plan text)")
        with connection.cursor().copy("COPY callers FROM STDIN") as copy:
            for row in rows[["customer_id", "calls", "plan"]].itertuples(index=False):
                copy.write_row(row)
    assert "scored 10 new rows of 60" in scored(project, "callers")
    found = server.rows("scoring", "SELECT answer, score > 0.26, reasons, release FROM scores")
    assert len(found) == 60
    assert all(answer == str(above).lower() for answer, above, _, _ in found)
    assert all("calls = " in reasons for _, _, reasons, _ in found)


def scored(project: Project, source: str, table: str = "scores") -> str:
    done = call_trimaran("score", "shop", f"--from={source}", f"--to={table}", cwd=project.folder)
    assert done.status == 0, done.stderr
    return done.stdout


def test_a_table_that_cannot_be_scored_is_refused_and_nothing_is_added(project: Project) -> None:
    rows = customers(20, 9, first=900)
    rows.to_csv(project.folder / "new.csv", index=False)
    scored(project, "new.csv")
    for change, said in (
        ({"plan": None}, "has no column 'plan'"),
        ({"calls": "many"}, "'many' is not a number"),
        ({"customer_id": "c-1"}, "rows 1 and 2 have the same 'customer_id', 'c-1'"),
        ({"customer_id": ""}, "20 rows have no 'customer_id'"),
    ):
        changed = rows.assign(**{name: value or "" for name, value in change.items()})
        if None in change.values():
            changed = changed.drop(columns=list(change))
        changed.to_csv(project.folder / "bad.csv", index=False)
        done = call_trimaran("score", "shop", "--from=bad.csv", "--to=scores", cwd=project.folder)
        assert (done.status, said in done.error) == (1, True), done.error
    for arguments, said in (
        (("shop", "--from=new.csv", "--to=shop-1"), "cannot name a table of scores"),
        (("shop", "--from=new.csv", "--to=trimaran_live"), "cannot name a table of scores"),
        (("shop", "--from=nothing.csv", "--to=scores"), "there is no file nothing.csv"),
        (("shops", "--from=new.csv", "--to=scores"), "no run of shops is live"),
    ):
        done = call_trimaran("score", *arguments, cwd=project.folder)
        assert (done.status > 0, said in done.error) == (True, True), done.error
    place = sqlite_at(project.repository.state / "results.db")
    assert place.rows("SELECT count(*) FROM scores") == [(20,)]


def test_no_password_is_shown_whatever_is_wrong(project: Project, server: PostgreSQL) -> None:
    right = server.address()
    for address in (
        right.replace(f":{server.port}", ":1"),
        right.replace("%40", "%41"),
        right.replace("%2F", "/"),
        right.replace("%40", "@"),
        right.replace("trimaran:", "nobody:"),
        right.replace("@127.0.0.1", ""),
        f"{right}_nothing",
        f"postgresql://127.0.0.1:{server.port}/postgres?user=trimaran&password=pa%2Fss%41",
    ):
        place = Place(address, lambda sql: [])
        with pytest.raises(TrimaranError) as raised:
            place.deliver(project)
        said = str(raised.value)
        assert "postgresql://" in said
        assert not [
            part
            for part in ("pa/", "pa%", "ss", "w:rd", "w%3A")
            if part in said.replace("password", "").replace("address", "")
        ]


def test_no_file_has_the_password_of_the_table_that_a_run_was_trained_on(
    tmp_path: Path, server: PostgreSQL
) -> None:
    folder = make_shop(tmp_path / "shop").folder
    database = f"source_{next(NUMBERS)}"
    address = server.make(database)
    server.rows(database, 'CREATE TABLE shop (customer_id text, calls int, plan text, "left" text)')
    with server.connect(database) as connection:
        connection.cursor().executemany(
            "INSERT INTO shop VALUES (%s, %s, %s, %s)", customers(300, 0).values.tolist()
        )
    settings = folder / "rollout.toml"
    query = '[shop.train]\nquery = "SELECT * FROM shop ORDER BY customer_id"'
    told = settings.read_text().replace('"shop.csv"', f'"{address}"')
    settings.write_text(told.replace("[shop.train]", query))
    outcome = call_trimaran("run", "shop", "--by=anna", cwd=folder)
    assert outcome.status == 0, outcome.stderr
    settings.unlink()
    (folder / "shop.csv").unlink()
    files = [each for each in folder.rglob("*") if each.is_file()]
    assert any(each.name == "config.json" for each in files)
    texts = {"what it printed": (outcome.stdout + outcome.stderr).encode()}
    texts |= {str(each): each.read_bytes() for each in files}
    wrongly = [name for name, text in texts.items() if any(word in text for word in _SECRETS)]
    assert wrongly == []
    assert f"127.0.0.1:{server.port}/{database}".encode() in b"".join(texts.values())
