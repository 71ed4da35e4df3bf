"""The places next to a repository, erased while others write, and interrupted."""

from __future__ import annotations

import json
import os
import resource
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.trimaran.calling import Outcome as Called
from tests.trimaran.calling import call_trimaran
from trimaran.gateway.audit import AuditLog
from trimaran.gateway.settings import Audit
from trimaran.privacy import erasing, log_files
from trimaran.privacy.lines import audit_keys, prediction_keys
from trimaran.privacy.masks import gateway_mask, prediction_mask
from trimaran.privacy.outcomes_index import OutcomesIndex
from trimaran.privacy.place import Found
from trimaran.repository.repository import Repository
from trimaran.served import outcomes as outcomes_module
from trimaran.served.judging import BinaryJudge
from trimaran.served.outcomes import Outcome, Outcomes
from trimaran.served.prediction_line import Answered, Keyed, Policy, lines
from trimaran.served.prediction_log import PredictionFiles


class Kept:
    """A repository next to which predictions are logged and indexed, by the code that serves."""

    def __init__(self, folder: Path) -> None:
        self.repository = Repository.create(folder / "model_repository")
        self.state = self.repository.state
        self.log = self.state / "predictions" / "m"
        self.log.mkdir(parents=True)
        self.keyed = Keyed.of(self.log)
        self.files = PredictionFiles(self.log, 1 << 20)
        self.outcomes = Outcomes(self.log, BinaryJudge("p", "decided"))

    def predict(self, *ids: str, request_id: str = "") -> None:
        outputs = {"p": [0.9] * len(ids), "decided": [True] * len(ids)}
        answered = Answered(0.0, request_id, [each.encode() for each in ids], outputs)
        policy = Policy.of({}, (), "customer_id")
        self.files.write(b"".join(lines(answered, "m", "1", policy, self.keyed)))

    def close(self) -> None:
        self.files.close()
        self.outcomes.close()

    def ids(self) -> list[str | None]:
        """The identifier of each line, None for an erased one; fails where a line is damaged."""
        paths = sorted(self.log.glob("*.jsonl"))
        found = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
        return [line.get("id") for line in found]

    def masked(self, *ids: str | None) -> list[str | None]:
        return [each and self.keyed.masked(each) for each in ids]

    def erase(self, *options: str) -> Called:
        root = self.repository.root
        return call_trimaran("privacy", "erase", "--repository", root, *options, cwd=root.parent)

    def record(self) -> list[dict[str, Any]]:
        path = self.state / "privacy" / "erasures.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def bytes_of(self, folder: str) -> bytes:
        return b"".join(p.read_bytes() for p in (self.state / folder).rglob("*") if p.is_file())


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.close()


def test_a_person_is_removed_everywhere_and_nobody_else(kept: Kept) -> None:
    kept.predict("a", "gone", "b")
    kept.predict("gone")
    kept.predict("b", "c", request_id="r")
    kept.outcomes.read_log()
    kept.outcomes.record([Outcome("gone", 1), Outcome("a", 1)])
    totals = kept.outcomes.totals()
    gateway = kept.state / "gateway"
    gateway.mkdir()
    (gateway / "digest.key").write_text("6b" * 32)
    subject = "d1d2f9245270febd"  # by openssl dgst -sha256 -hmac
    (gateway / "audit.log").write_text(
        f'{{"request_id":"x","subject":"{subject}"}}\n{{"request_id":"y","subject":"z"}}\n'
    )

    before = kept.bytes_of("predictions")
    dry = json.loads(kept.erase("--id", "gone", "--id", "r", "--dry-run", "--json").stdout)
    assert kept.bytes_of("predictions") == before
    assert not (kept.state / "privacy").exists()
    done = kept.erase("--id", "gone", "--id", "r", "--json")
    assert done.status == 0, done.stderr
    removed = {each["place"]: each["by_id"] for each in json.loads(done.stdout)["removed"]}
    assert removed == {
        "predictions/m": {"gone": 2, "r": 2},
        "predictions/m/outcomes.sqlite": {"gone": 2, "r": 2},
        "gateway/audit.log": {"gone": 1},
    }
    assert {**dry, "dry_run": False} == json.loads(done.stdout)
    assert kept.ids() == kept.masked("a", None, "b", None, None, None)
    assert kept.outcomes.record([Outcome("gone", 1), Outcome("r/1", 1)]) == ["unknown"] * 2
    assert kept.outcomes.record([Outcome("a", 1)]) == ["known"]
    assert kept.outcomes.totals() == totals
    masked = kept.keyed.masked("gone").encode()
    assert masked not in kept.bytes_of("predictions")  # nor in the pages that SQLite freed
    assert subject.encode() not in kept.bytes_of("gateway")

    kept.predict("gone")
    assert kept.ids()[-1] == kept.keyed.masked("gone")
    again = kept.erase("--id", "nobody", "--id", "gone")
    assert "nothing is kept about 'nobody'" in again.stdout
    assert "'gone' was erased before, at 2" in again.stdout


def test_a_log_of_the_gateway_is_kept_as_many_days_as_before(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    lines = [{"time": "2026-11-26T09:00:00.000Z", "subject": each} for each in ("gone", "a")]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    os.utime(path, (1e9, 1e9))
    log_files.LogFiles("gateway", tmp_path, "audit*.log", audit_keys, gateway_mask).remove(["gone"])
    assert path.read_text().startswith('{"erased":true}')
    assert path.stat().st_mtime == 1e9
    log = AuditLog(path, Audit(megabytes=1, days=30))
    noon_s = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
    assert not log.rotate(noon_s)
    assert log.rotate(noon_s + 86_400)


def test_the_record_proves_an_erasure_and_names_nobody(kept: Kept) -> None:
    kept.predict("gone")
    kept.erase("--id", "gone")
    directory = kept.state / "privacy"
    begun, done = kept.record()
    assert [begun["event"], done["event"]] == ["begun", "done"]
    assert begun["subject"] == done["subject"] == Keyed.of(directory).digest(b"gone")
    assert done["removed"] == {"predictions/m": 1}
    assert b"gone" not in kept.bytes_of("privacy")
    assert {path.stat().st_mode & 0o077 for path in [directory, *directory.iterdir()]} == {0}


def test_an_interrupted_erasure_loses_nothing_and_is_finished_by_the_next(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.predict("gone", "a", "gone", "b")
    kept.outcomes.read_log()
    writes = iter([os.pwrite])

    def interrupted(*arguments: Any) -> int:
        for write in writes:
            return write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(log_files.os, "pwrite", interrupted)
    assert kept.erase("--id", "gone").status == 130
    assert kept.ids() == kept.masked(None, "a", "gone", "b")
    monkeypatch.undo()
    removed = json.loads(kept.erase("--id", "gone", "--json").stdout)["removed"]
    assert [each["by_id"] for each in removed] == [{"gone": 1}, {"gone": 2}]
    assert kept.ids() == kept.masked(None, "a", None, "b")
    assert [line["event"] for line in kept.record()] == ["begun", "begun", "done"]


def test_what_was_interrupted_is_gone_through_again_where_nothing_is_found(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages of an index may still be in its journal."""
    kept.predict("gone")
    kept.outcomes.read_log()
    monkeypatch.setattr(erasing.Erasures, "finish", interrupt)
    assert kept.erase("--id", "gone").status == 130
    monkeypatch.undo()
    removed: list[Sequence[str]] = []
    monkeypatch.setattr(OutcomesIndex, "remove", lambda _, ids: removed.append(ids) or Found())
    for _ in range(2):
        assert kept.erase("--id", "gone").status == 0
    assert removed == [["gone"]]


def test_an_index_that_has_just_read_the_log_does_not_bring_anyone_back(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.predict("gone", "a")
    read = outcomes_module._whole_lines
    log = log_files.LogFiles("log", kept.log, "*.jsonl", prediction_keys, prediction_mask)
    erasing = threading.Thread(
        target=OutcomesIndex("index", kept.log).remove, args=[["gone"]], daemon=True
    )

    def slowly(path: Path, start: int) -> list[bytes]:
        found = read(path, start)
        log.remove(["gone"])
        erasing.start()
        erasing.join(0.3)  # it ends now where nothing keeps it from the index
        return found

    monkeypatch.setattr(outcomes_module, "_whole_lines", slowly)
    kept.outcomes.read_log()
    erasing.join(20)
    assert kept.outcomes.record([Outcome("gone", 1), Outcome("a", 1)]) == ["unknown", "counted"]


def test_what_was_removed_meanwhile_is_not_written_over(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that found no room takes back what it wrote of its last lines."""
    kept.predict("gone")
    (path,) = kept.log.glob("*.jsonl")
    took_back = os.pread

    def after(*arguments: Any) -> bytes:
        os.truncate(path, 0)
        return took_back(*arguments)

    monkeypatch.setattr(log_files.os, "pread", after)
    assert json.loads(kept.erase("--id", "gone", "--json").stdout)["removed"] == []
    assert path.read_bytes() == b""


def test_what_no_command_changes_is_named_with_what_to_do(kept: Kept, tmp_path: Path) -> None:
    version = kept.repository.root / "films_history" / "3"
    golden = kept.repository.root / "films" / "golden"
    run = tmp_path / "runs" / "shop" / "1a2b"
    for folder in (version, golden, run):
        folder.mkdir(parents=True)
    (version / "users.txt").write_text("a\ngone\n")
    (golden / "some.json").write_text(
        '{"inputs": {"RECORD": {"value": ["{\\"id\\": \\"gone\\"}"]}}}'
    )
    (golden / "damaged.json").write_text('{"gone')
    (run / "predictions.csv").write_text("identifier,part\ngone,test\na,train\n")
    (run.parent / "latest").symlink_to(run.name)
    called = kept.erase("--id", "gone", "--json")
    assert called.status == 1
    stays = json.loads(called.stdout)["stays"]
    assert {each["place"]: each["remedy"].rpartition(" this ")[2] for each in stays} == {
        "model_repository/films_history/3/users.txt": "version",
        "model_repository/films/golden/some.json": "replace it by a request that is nobody's",
        "runs/shop/1a2b/predictions.csv": "run",
    }
    assert kept.erase("--id", "b").status == 0


def test_without_its_key_nobody_can_tell_whose_a_line_is(kept: Kept) -> None:
    kept.predict("gone", "a")
    (kept.log / "key").unlink()
    called = kept.erase("--id", "gone")
    assert called.status == 1
    assert "masked by a key that is not there" in called.stdout
    assert not (kept.log / "key").exists()


def test_a_damaged_line_stays_and_is_said(kept: Kept) -> None:
    kept.predict("gone")
    kept.files.write(b'{"id":"someone\n')
    called = kept.erase("--id", "gone")
    assert called.status == 0
    assert "predictions/m: damaged lines stay, which cannot be read" in called.stdout
    assert b'{"id":"someone\n' in kept.bytes_of("predictions")


def test_ids_come_from_a_file_or_from_the_input(kept: Kept, tmp_path: Path) -> None:
    kept.predict("a", "b", "c")
    listed = tmp_path / "ids.txt"
    listed.write_text("a\r\n\n b \n")
    kept.erase("--ids", str(listed))
    assert kept.ids() == kept.masked(None, None, "c")
    root = kept.repository.root
    call_trimaran("privacy", "erase", "--ids", "-", "--repository", root, stdin="c\n")
    assert kept.ids() == [None] * 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "no id is given; name one with --id, or a file of them with --ids"),
        (["--id", ""], "an id is empty"),
        (["--ids", "nowhere.txt"], "--ids nowhere.txt: there is no such file"),
        (["--ids", "/dev/null"], "not a regular file"),
        (["--ids", "empty.txt"], "empty.txt has no id; write one a line"),
        (["--ids", "binary.txt"], "it is not UTF-8 text"),
        (["--id", "\udcff"], "is not UTF-8, which every kept id is"),
        (["--id", "a", "--predictions", "nowhere"], "nowhere: there is no such folder"),
    ],
)
def test_what_is_no_id_is_refused(
    tmp_path: Path, kept: Kept, options: list[str], words: str
) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\n")
    called = kept.erase(*options)
    assert called.status
    assert words in called.error


def test_a_repository_without_logs_keeps_nothing(tmp_path: Path) -> None:
    root = Repository.create(tmp_path / "model_repository").root
    called = call_trimaran("privacy", "erase", "--id", "a", "--repository", root, cwd=tmp_path)
    assert (called.status, called.stdout) == (0, "nothing is kept about 'a'\n")


def test_what_this_user_may_not_change_stops_it_before_anything_is_removed(kept: Kept) -> None:
    kept.predict("gone")
    (path,) = kept.log.glob("*.jsonl")
    link = kept.log / "z.jsonl"
    link.symlink_to(path)
    assert "z.jsonl is a link, a folder or a device" in kept.erase("--id", "gone").error
    link.unlink()
    key = kept.log / "key"
    whole = key.read_bytes()
    key.write_bytes(whole[:31])
    assert "key is not the whole key that was made there" in kept.erase("--id", "gone").error
    key.write_bytes(whole)
    database = kept.log / "outcomes.sqlite"
    kept.outcomes.close()
    database.write_bytes(b"no database" * 100)
    assert "outcomes.sqlite cannot be changed (file is not a database)" in (
        kept.erase("--id", "gone").error
    )
    assert kept.ids() == kept.masked("gone")


def test_a_full_disk_loses_nothing(kept: Kept) -> None:
    """The limit on a file's size is this process' own."""
    kept.predict("gone", "a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        called = kept.erase("--id", "gone")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in called.error
    assert kept.ids() == kept.masked("gone", "a")
