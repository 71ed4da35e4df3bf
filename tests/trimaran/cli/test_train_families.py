"""What `trimaran train` is asked to train, and which options fit it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer
import typer.main

from trimaran.cli.train import train
from trimaran.cli.train_families import (
    CHOICES,
    FAMILIES,
    IMAGES,
    TABLES,
    TEXTS,
    Family,
    family_of,
)
from trimaran.system.errors import UsageError


@pytest.mark.parametrize(
    ("table", "given", "family"),
    [
        ("churn", [], TABLES),
        ("a.csv", ["target"], TABLES),
        ("food_reviews", ["epochs"], TEXTS),
        ("a.csv", ["text"], TEXTS),
        ("photos", ["epochs", "name"], IMAGES),
        ("movielens", ["top"], CHOICES),
        ("a.csv", ["user", "item", "time"], CHOICES),
    ],
)
def test_the_argument_and_the_options_tell_the_family(
    table: str, given: list[str], family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("photos", "churn"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert family_of(table, given, None) is family


@pytest.mark.parametrize(
    ("table", "given", "model", "words"),
    [
        (
            os.curdir,
            ["target"],
            None,
            "^--target is not for a folder of photographs, but for records of a table and texts; "
            "leave it out$",
        ),
        ("churn", ["liked"], None, "^--liked is not for records of a table, but for recommenders;"),
        ("movielens", ["trials"], None, "^--trials is not for recommenders, but for records of a"),
        ("a.csv", ["user", "text"], None, "^--text is for texts, and --user and --item for"),
        ("food_reviews", ["model"], "mlp", "^--model mlp is not for texts; choose from encoder,"),
        ("a.csv", ["model"], "ease", "^--model ease is not for records of a table; choose from m"),
    ],
)
def test_what_is_for_another_family_is_refused(
    table: str, given: list[str], model: str | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        family_of(table, given, model)


def test_every_option_is_of_some_family() -> None:
    app = typer.Typer(add_completion=False)
    app.command()(train)
    parameters = {each.name for each in typer.main.get_command(app).params}
    taken = {option for family in FAMILIES for option in family.options}
    assert parameters - {"help"} == taken | {"table", "name", "seed", "out"}
