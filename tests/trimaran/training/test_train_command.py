from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.running import TRIMARAN, kill_once
from tests.trimaran.calling import call_trimaran
from tests.trimaran.training.tabular.customers import write_files
from trimaran.system.errors import TrimaranError

CHECKPOINT = "checkpoint.pt"
COMPARED = ("weights.pt", "metrics.json", "predictions.csv", "transform.json", "report.html")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("training")
    write_files(made, rows=300)
    return made


def command(out: str, *options: str) -> list[str]:
    return ["train", "customers.csv", "--name", "churn", "--out", out, *options]


def only_run(out: Path) -> Path:
    (found,) = [path for path in (out / "churn").iterdir() if path.is_dir()]
    return found


@pytest.fixture(scope="module")
def whole(directory: Path) -> Path:
    result = call_trimaran(*command("whole"), cwd=directory)
    assert result.status == 0, result.stderr
    assert "was finished in" in result.stdout
    assert "F1 0." in result.stdout
    return only_run(directory / "whole")


def epochs(checkpoint: Path) -> int:
    from trimaran.training.tabular.learning.checkpoints import load_tensors

    try:
        return len(load_tensors(checkpoint)["history"])
    except TrimaranError:
        return 0


@pytest.mark.long
def test_a_killed_training_ends_in_the_same_bytes(directory: Path, whole: Path) -> None:
    out = directory / "killed"
    checkpoint = out / "churn" / whole.name / CHECKPOINT
    kill_once([*TRIMARAN, *command("killed")], directory, lambda: epochs(checkpoint) >= 4)
    assert not (checkpoint.parent / "metrics.json").exists()
    assert not (out / "churn" / "latest.json").exists()
    result = call_trimaran(*command("killed"), cwd=directory)
    assert result.status == 0, result.stderr
    for name in COMPARED:
        one, other = (path / name for path in (whole, only_run(out)))
        assert one.read_bytes() == other.read_bytes(), name
    assert not list((out / "churn").rglob("*.pt.*"))


def test_the_same_command_uses_the_run_again(directory: Path, whole: Path) -> None:
    before = (whole / "weights.pt").stat().st_mtime_ns
    result = call_trimaran(*command("whole"), cwd=directory)
    assert f"{whole.relative_to(directory)} is already finished; it is reused" in result.stdout
    assert (whole / "weights.pt").stat().st_mtime_ns == before
    latest = json.loads((directory / "whole" / "churn" / "latest.json").read_text())
    assert latest == {"run": whole.name}


@pytest.mark.long
def test_several_seeds_have_a_mean_and_a_spread(directory: Path, whole: Path) -> None:
    result = call_trimaran(*command("whole", "--seeds", "2"), cwd=directory)
    assert result.status == 0, result.stderr
    assert "±" in result.stdout
    document = json.loads((directory / "whole" / "churn" / "seeds-mlp.json").read_text())
    assert document["seeds"] == [0, 1]
    first, second = (each["mlp"]["f1"] for each in document["scores"])
    assert document["spread"]["mlp"]["f1"]["mean"] == pytest.approx((first + second) / 2)
    assert document["spread"]["mlp"]["f1"]["sd"] == pytest.approx(abs(first - second) / 2**0.5)
    assert set(document["spread"]) == {
        "mlp",
        "logistic regression",
        "random forest",
        "gradient boosting",
    }
    latest = json.loads((directory / "whole" / "churn" / "latest.json").read_text())
    assert latest == {"run": whole.name}


@pytest.fixture(scope="module")
def whole_folds(directory: Path) -> Path:
    result = call_trimaran(*command("folds", "--folds", "2"), cwd=directory)
    assert result.status == 0, result.stderr
    return directory / "folds" / "churn" / "folds-mlp.json"


@pytest.mark.long
def test_folds_are_written_and_used_again(directory: Path, whole_folds: Path) -> None:
    written = whole_folds.read_bytes()
    assert len(json.loads(written)["scores"]) == 2
    whole_folds.unlink()
    result = call_trimaran(*command("folds", "--folds", "2"), cwd=directory)
    assert "2 of 2 folds are already finished in folds/churn/folds/mlp-seed0-" in result.stdout
    assert whole_folds.read_bytes() == written


@pytest.mark.long
def test_killed_folds_end_in_the_same_bytes(directory: Path, whole_folds: Path) -> None:
    out = directory / "killed_folds" / "churn"
    folds = [*TRIMARAN, *command("killed_folds", "--folds", "2")]
    kill_once(folds, directory, lambda: sum(map(epochs, out.glob("folds/*/fold-2.pt"))) >= 3)
    assert len(list(out.glob("folds/*/fold-*.json"))) == 1
    assert not (out / whole_folds.name).exists()
    result = call_trimaran(*command("killed_folds", "--folds", "2"), cwd=directory)
    assert result.status == 0, result.stderr
    assert "1 of 2 folds are already finished in" in result.stdout
    assert (out / whole_folds.name).read_bytes() == whole_folds.read_bytes()
    assert not list(out.rglob("*.pt*"))


@pytest.mark.long
def test_a_table_with_ignored_columns_is_trained_on_as_without(
    directory: Path, whole: Path
) -> None:
    import pandas as pd

    table = pd.read_csv(directory / "customers.csv", dtype=str, keep_default_na=False)
    other = directory / "commented"
    other.mkdir()
    table.assign(comment="überflüssig").to_csv(other / "customers.csv", index=False)
    schema = (directory / "customers.toml").read_text()
    (other / "customers.toml").write_text('ignored = ["comment"]\n' + schema)
    result = call_trimaran(*command("runs"), cwd=other)
    assert result.status == 0, result.stderr
    run = only_run(other / "runs")
    assert run.name == whole.name
    for name in COMPARED:
        if name != "report.html":  # which names the file that the table is from
            assert (run / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("command_name", ["explore", "train"])
def test_both_commands_report_what_is_wrong_with_a_table(
    directory: Path, command_name: str
) -> None:
    lines = (directory / "customers.csv").read_text().splitlines()
    lines[3] = "c2,,,,,no"
    (directory / "empty.csv").write_text("\n".join(lines))
    given = ("empty.csv", "--schema", "customers.toml")
    result = call_trimaran(command_name, *given, cwd=directory)
    said = "1 row is without a value in any field, the first is row 3; remove them"
    assert said in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.long
def test_a_search_is_trained_with_what_it_found(directory: Path) -> None:
    result = call_trimaran(*command("searched", "--trials", "2"), cwd=directory)
    assert result.status == 0, result.stderr
    run = only_run(directory / "searched")
    assert run.name.startswith("mlp-seed0-")
    assert (directory / "searched/churn/searches.db").is_file()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["train", "churn", "--data", "x.csv"], 2, "as in 'trimaran train customers.csv'"),
        (["train", "churn", "--name", "a/b"], 2, "'a/b' cannot name a model"),
        (["train", "churn", "--target", "left"], 2, "public table with a schema; leave --target"),
        (["train", "customers.csv", "--target", "calls"], 2, "has target = 'left', and --target"),
        (["train", "customers.csv", "--time", "plan"], 1, "time is 'plan', which is described as"),
        (["train", "churn", "--seeds", "0"], 2, "--seeds is 0"),
        (["train", "churn", "--seed", "-1"], 2, "--seed is -1"),
        (["train", "churn", "--folds", "1"], 2, "--folds is 1"),
        (["train", "churn", "--trials", "-1"], 2, "--trials is -1"),
        (["train", "churn", "--model", "forest", "--trials", "3"], 2, "for the models mlp and tab"),
        (["train", "churn", "--folds", "3", "--seeds", "2"], 2, "leave out --seeds"),
        (["train", "churn", "--folds", "3", "--trials", "2"], 2, "leave out --trials"),
        (["train", "churn", "--out", "customers.csv"], 2, "--out customers.csv is a file; name a"),
        (["train", "mlc_chrun"], 2, "did you mean 'mlc_churn'"),
    ],
)
def test_wrong_usage_is_one_sentence(
    directory: Path, options: list[str], status: int, message: str
) -> None:
    result = call_trimaran(*options, cwd=directory)
    assert result.status == status
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
