"""The files that the pages take for the reader's own: photographs, a module, tables."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from datetime import date, timedelta
from pathlib import Path

import torch
from PIL import Image

from trimaran.training.image_data import photographs

__all__ = ["make_contracts", "make_files"]

_RECORD_PAGE = Path("docs/tables.md")
_RECORD = re.compile(r"curl -s --json '(\{\"customer_id\".*?\})'")


def make_files() -> None:
    """Make the files that the pages take for the reader's own."""
    photo = Image.open(io.BytesIO(photographs()["chelsea.png"])).convert("RGB")
    photo.save("photo.jpg")
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    module = torch.nn.Sequential(*layers).eval()
    torch.jit.script(module).save("scripted.pt")
    torch.onnx.export(
        module,
        (torch.randn(2, 3, 224, 224),),
        "resnet.onnx",
        input_names=["image"],
        output_names=["features"],
        dynamic_shapes=({0: torch.export.Dim("batch", max=64)},),
        external_data=False,
        opset_version=18,
    )
    record = json.loads(_RECORD.findall(_RECORD_PAGE.read_text(encoding="utf-8"))[0])
    with Path("customers.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, record)
        writer.writeheader()
        writer.writerows([record, {**record, "customer_id": "c-2", "total_day_minutes": 150}])
    row = {"customer_id": record["customer_id"], "RECORD": json.dumps(record)}
    Path("record.json").write_text(json.dumps(row), encoding="utf-8")
    outcomes = f"customer_id,outcome\n{record['customer_id']},yes\n"
    Path("outcomes.csv").write_text(outcomes, encoding="utf-8")
    _make_table(Path("my_table.csv"))
    _make_table(Path("new_customers.csv"), 1)
    _make_reviews(Path("my_reviews.csv"))
    _make_plays(Path("my_plays.csv"))
    _make_measured()
    _make_flights(Path("flights.csv"))
    _make_visits(Path("visits.csv"), Path("calls.csv"))
    make_contracts(Path("contracts.csv"), 600)
    make_contracts(Path("later_contracts.csv"), 1200, later=True)


def _make_table(path: Path, seed: int = 0) -> None:
    """A table of the schema in docs/tables.md: short monthly contracts are left more often."""
    drawn = random.Random(seed)  # noqa: S311 - a table, no secret
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer_id", "tenure", "contract", "comment", "date_of_leaving", "left"])
        for number in range(600):
            tenure, contract = drawn.randint(0, 100), drawn.choice(["month", "year"])
            left = drawn.random() < (0.7 if contract == "month" and tenure < 40 else 0.1)
            planned = f"2026-{drawn.randint(1, 12):02}-{drawn.randint(1, 28):02}"
            answer = "yes" if left else "no"
            who = f"c-{1000 * seed + number}"
            writer.writerow([who, tenure, contract, "", planned, answer])


def make_contracts(path: Path, rows: int, *, later: bool = False) -> None:
    """A table of half a year: short monthly contracts are left, and later long ones of any kind."""
    drawn = random.Random(int(later))  # noqa: S311 - a table, no secret
    began, longest = (date(2025, 7, 1), 60) if later else (date(2025, 1, 1), 100)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["contract_id", "seen_on", "tenure", "contract", "left"])
        for number in range(rows):
            tenure, contract = drawn.randint(0, longest), drawn.choice(["month", "year"])
            likely = tenure > 30 if later else contract == "month" and tenure < 40
            left = drawn.random() < (0.8 if likely else 0.1)
            seen_on = began + timedelta(days=180 * number // rows)
            who = f"{'later' if later else 'c'}-{number}"
            writer.writerow([who, seen_on, tenure, contract, "yes" if left else "no"])


def _make_measured() -> None:
    """Small tables in place of those of the section on several classes, and on a number."""
    drawn = random.Random(0)  # noqa: S311 - tables, no secret
    penguins, diamonds = Path("penguins.csv"), Path("diamonds.csv")
    sizes = {"Adelie": 38, "Chinstrap": 48, "Gentoo": 58}
    with penguins.open("w", newline="") as file, diamonds.open("w", newline="") as other:
        classes, numbers = csv.writer(file), csv.writer(other)
        classes.writerow(["species", "bill_length_mm", "island"])
        numbers.writerow(["carat", "cut", "price"])
        for _ in range(300):
            species, carat = drawn.choice(list(sizes)), drawn.uniform(0.2, 2)
            island = drawn.choice(["Biscoe", "Dream"])
            classes.writerow([species, round(drawn.gauss(sizes[species], 7), 1), island])
            price = round(3000 * carat + drawn.gauss(0, 200))
            numbers.writerow([round(carat, 2), drawn.choice(["Fair", "Ideal"]), price])


def _make_flights(path: Path) -> None:
    """A small table in place of that of the section on splits by time: late in the evening."""
    drawn = random.Random(0)  # noqa: S311 - a table, no secret
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["carrier", "time_hour", "late"])
        for number in range(400):
            hour = drawn.randrange(6, 23)
            late = drawn.random() < (0.7 if hour > 17 else 0.2)
            day = date(2013, 1, 1) + timedelta(days=number // 2)
            moment = f"{day.isoformat()}T{hour:02}:00:00Z"
            writer.writerow([drawn.choice(["UA", "DL"]), moment, "yes" if late else "no"])


def _make_visits(path: Path, history: Path) -> None:
    """The tables of the section on windows: who called for long is left."""
    drawn = random.Random(0)  # noqa: S311 - tables, no secret
    with path.open("w", newline="") as file, history.open("w", newline="") as other:
        visits, calls = csv.writer(file), csv.writer(other)
        visits.writerow(["customer_id", "visited_on", "plan", "left"])
        calls.writerow(["customer_id", "began_at", "minutes"])
        for number in range(400):
            visited, minutes = date(2026, 3, 1) + timedelta(days=number // 4), drawn.randrange(60)
            left = drawn.random() < (0.7 if minutes > 30 else 0.2)
            calls.writerow([number, visited - timedelta(days=drawn.randrange(1, 30)), minutes])
            plan = drawn.choice(["a", "b"])
            visits.writerow([number, visited, plan, "yes" if left else "no"])


def _make_reviews(path: Path) -> None:
    """Reviews as in docs/text.md, each with a word that tells good from bad."""
    drawn = random.Random(0)  # noqa: S311 - texts, no secret
    words = {"good": ["delicious", "fresh", "lovely"], "bad": ["stale", "bland", "awful"]}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "score"])
        for number in range(300):
            score = drawn.choice(["good", "bad"])
            writer.writerow([f"Order {number} was {drawn.choice(words[score])}.", score])


def _make_plays(path: Path) -> None:
    """Plays of songs as in docs/recommendations.md, by listeners of three tastes."""
    drawn = random.Random(0)  # noqa: S311 - plays, no secret
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["listener", "song", "played_at"])
        for listener in range(60):
            for day in range(1, 21):
                song = 20 * (listener % 3) + drawn.randint(0, 25)
                writer.writerow([f"l-{listener}", f"song {song}", f"2026-01-{day:02}T10:00:00"])
