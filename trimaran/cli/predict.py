"""`trimaran predict`: files, JSON or CSV in, a table, JSON or CSV out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from trimaran.checks.raising import checked_config
from trimaran.cli.options import GrpcPort, Host, HttpPort, RepositoryPath
from trimaran.repository.config import ModelConfig, inputs_of
from trimaran.repository.dtypes import describe_shape
from trimaran.repository.presence import ports_of
from trimaran.repository.repository import Repository
from trimaran.serving.client import Answer, Client, read_arrays, row_of
from trimaran.serving.scoring import score_csv
from trimaran.serving.snippets import takes_one_file
from trimaran.system.console import console
from trimaran.system.errors import TrimaranError, UsageError

__all__ = ["answer_table", "plain", "predict"]

_SHOWN = 8


@dataclass(frozen=True)
class _Request:
    name: str
    inputs: Mapping[str, np.ndarray]


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A served model or ensemble.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="One request each: a photograph, or an .npz with an array for each input.",
        ),
    ] = None,
    json_file: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE|-", help="One row, or a list of rows, by input name."),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Score the rows of a CSV file; needs --out."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where scored rows go.")] = None,
    refused: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where unusable rows go; next to --out, as NAME.refused.csv."
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column of --csv that is no input; repeatable."),
    ] = None,
    protocol: Annotated[str, typer.Option(help="http or grpc.")] = "http",
    json_output: Annotated[bool, typer.Option("--json-output", help="Print JSON.")] = False,
    repository: RepositoryPath = Path("model_repository"),
    host: Host = None,
    http_port: HttpPort = None,
    grpc_port: GrpcPort = None,
) -> None:
    """Send files or JSON to a served model and print what it answers."""
    if protocol not in ("http", "grpc"):
        raise UsageError(f"there is no protocol {protocol!r}; choose http or grpc")
    if [bool(files), bool(json_file), bool(csv_file)].count(True) != 1:
        raise UsageError("give one of: files, --json, or --csv with --out")
    if bool(csv_file) != bool(out) or ((refused or ignore) and not csv_file):
        raise UsageError("--csv FILE and --out FILE go together; --refused and --ignore need them")
    opened = Repository.open(repository)
    config = checked_config(opened, model)
    ports = ports_of(opened, host, http_port, grpc_port)
    if csv_file and out:
        with Client(ports, "grpc" if protocol == "grpc" else "http") as client:
            refused = refused or out.with_name(f"{out.stem}.refused.csv")
            _score(client, config, csv_file, out, refused, ignore or [])
        return
    requests = _from_json(config, json_file) if json_file else _from_files(config, files or [])
    records, failures = [], 0
    screen = console()
    with Client(ports, "grpc" if protocol == "grpc" else "http") as client:
        for request in requests:
            try:
                answer = client.infer(model, request.inputs)
            except TrimaranError as error:
                failures += 1
                records.append({"request": request.name, "error": str(error)})
                if not json_output:
                    screen.print(
                        f"{request.name}: {error}", markup=False, highlight=False, soft_wrap=True
                    )
                continue
            answer = _in_order(config, answer)
            records.append({"request": request.name, **plain(answer)})
            if not json_output:
                screen.print(answer_table(request.name, answer))
    if json_output:
        print(json.dumps(records, indent=2))
    if failures:
        raise TrimaranError(f"{failures} of {len(records)} requests were refused")


def _score(
    client: Client, config: ModelConfig, source: Path, out: Path, refused: Path, ignore: list[str]
) -> None:
    """Score a CSV file with a progress bar, and say what became of its rows."""
    if not source.is_file():
        raise UsageError(f"there is no file {source}")
    if len({path.resolve() for path in (source, out, refused)}) < 3:
        raise UsageError("--csv, --out and --refused must be three different files")
    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"scoring {escape(source.name)}", total=source.stat().st_size)
        scored = score_csv(
            client,
            config,
            source,
            out,
            refused,
            ignored=ignore,
            progress=lambda read: bar.update(task, completed=read),
        )
    print(f"{scored.answered} rows scored in {out}")
    if scored.refused:
        raise TrimaranError(f"{scored.refused} rows were refused; {refused} says why")


def plain(answer: Answer) -> dict[str, Any]:
    """An answer as JSON can hold it: outputs as nested lists, latency in milliseconds."""
    return {
        "version": answer.version,
        "latency_ms": round(answer.latency_s * 1e3, 3),
        "outputs": {name: _listed(array) for name, array in answer.outputs.items()},
    }


def answer_table(title: str, answer: Answer) -> Table:
    """One line for each value along the outputs' last axis, one column for each output."""
    table = Table(
        title=f"{escape(title)} · version {answer.version} · {answer.latency_s * 1e3:.1f} ms",
        title_justify="left",
    )
    columns = {name: array.reshape(-1) for name, array in answer.outputs.items()}
    for name, array in answer.outputs.items():
        table.add_column(f"{name} {describe_shape(array.shape)}", overflow="fold")
    longest = max(len(values) for values in columns.values())
    for index in range(min(longest, _SHOWN)):
        table.add_row(*(_cell(values, index) for values in columns.values()))
    if longest > _SHOWN:
        table.add_row(*(f"… {len(values)} values" for values in columns.values()))
    return table


def _from_files(config: ModelConfig, files: list[Path]) -> Iterator[_Request]:
    for path in files:
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
        if takes_one_file(config):
            array = np.empty((1, 1), dtype=object)
            array[0, 0] = path.read_bytes()
            shaped = array if config.max_batch_size > 0 else array[0]
            yield _Request(str(path), {config.input[0].name: shaped})
        elif path.suffix == ".npz":
            yield _Request(str(path), read_arrays(path))
        else:
            raise UsageError(
                f"{path}: {config.name} takes {', '.join(map(str, inputs_of(config)))}; give "
                "--json, or an .npz file with an array for each input"
            )


def _from_json(config: ModelConfig, name: str) -> Iterator[_Request]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        given = json.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"--json {name}: is not readable JSON: {error}") from error
    rows = given if isinstance(given, list) else [given]
    for index, row in enumerate(rows):
        yield _Request(f"row {index}", row_of(config, row, f"--json {name}: row {index}"))


def _in_order(config: ModelConfig, answer: Answer) -> Answer:
    """The answer with its outputs in the configuration's order, which Triton does not keep."""
    order = {output.name: place for place, output in enumerate(config.output)}
    names = sorted(answer.outputs, key=lambda name: order.get(name, len(order)))
    return replace(answer, outputs={name: answer.outputs[name] for name in names})


def _listed(array: np.ndarray) -> Any:
    if array.dtype == object:
        decode = np.vectorize(lambda v: v.decode(errors="replace"), otypes=[object])
        return decode(array).tolist() if array.size else array.tolist()
    return array.tolist()


def _cell(values: np.ndarray, index: int) -> str:
    if index >= len(values):
        return ""
    value = values[index]
    if isinstance(value, bytes):
        return escape(value.decode(errors="replace"))
    return f"{value:.4g}" if isinstance(value, np.floating) else str(value)
