"""`trimaran predict`: files, JSON or CSV in, a table, JSON or CSV out."""

from __future__ import annotations

import json
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
from trimaran.cli.address import Address
from trimaran.cli.options import (
    DEFAULT_REPOSITORY,
    AsJson,
    CaFile,
    GrpcPort,
    Host,
    HttpPort,
    RepositoryPath,
    TokenFile,
    Url,
)
from trimaran.repository.config import ModelConfig, inputs_of
from trimaran.repository.dtypes import describe_shape
from trimaran.repository.presence import running_server
from trimaran.repository.repository import Repository
from trimaran.serving.client import Answer, Client, UnreachableError, read_arrays
from trimaran.serving.json_rows import STDIN, json_values, read_rows, row_of
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
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A served model or ensemble.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="One request each: a photograph, or an .npz file with one array per input.",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Rows by input name: a .json file, or - for JSON on standard input, with "
            "one row or a list of rows; or a .csv file, each row scored into --output.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV file for the scored rows of a .csv input."),
    ] = None,
    refused: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV file for unusable rows. Default: NAME.refused.csv next to --output.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="A column of the .csv that is not an input; repeatable."
        ),
    ] = None,
    formulas: Annotated[
        bool,
        typer.Option(
            "--formulas",
            help="Leave cells as they are that a spreadsheet runs, which begin with = + - or @.",
        ),
    ] = False,
    protocol: Annotated[str, typer.Option(help="http or grpc.")] = "http",
    as_json: AsJson = False,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
    host: Host = None,
    http_port: HttpPort = None,
    grpc_port: GrpcPort = None,
    url: Url = None,
    ca: CaFile = None,
    token_file: TokenFile = None,
) -> None:
    """Send files or rows to a served model, and print its answers."""
    if protocol not in ("http", "grpc"):
        raise UsageError(f"there is no protocol {protocol!r}; choose http or grpc")
    opened = Repository.open(repository)
    usual = context.lookup_default("model")
    if usual and model not in (usual, *opened.names()):
        if not Path(model).is_file():
            raise UsageError(f"{model} is neither a model of {opened.root} nor a file; name either")
        model, files = usual, [Path(model), *(files or [])]
    if bool(files) == bool(source):
        raise UsageError("give either files, or --input with a .json or .csv file of rows")
    scoring = _is_table(source) if source else False
    if scoring != bool(output) or ((refused or ignore or formulas) and not scoring):
        raise UsageError(
            "--input FILE.csv and --output FILE go together; --refused, --ignore and --formulas "
            "need them"
        )
    config = checked_config(opened, model)
    given = Address(host, http_port, grpc_port, url, ca, token_file).endpoint()
    endpoint = running_server(repository, given).endpoint
    if source and output:
        with Client(endpoint, "grpc" if protocol == "grpc" else "http") as client:
            refused = refused or output.with_name(f"{output.stem}.refused.csv")
            _score(client, config, source, output, refused, ignore or [], formulas, as_json)
        return
    requests = _from_json(config, source) if source else _from_files(config, files or [])
    records, failures = [], 0
    screen = console()
    with Client(endpoint, "grpc" if protocol == "grpc" else "http") as client:
        for request in requests:
            try:
                answer = client.infer(model, request.inputs)
            except UnreachableError:
                raise
            except TrimaranError as error:
                failures += 1
                records.append({"request": request.name, "error": str(error)})
                if not as_json:
                    screen.print(
                        f"{request.name}: {error}", markup=False, highlight=False, soft_wrap=True
                    )
                continue
            answer = _in_order(config, answer)
            records.append({"request": request.name, **plain(answer)})
            if not as_json:
                screen.print(answer_table(request.name, answer))
    if as_json:
        print(json.dumps(records, indent=2))
    if failures:
        raise TrimaranError(f"{failures} of {len(records)} requests were refused")


def _is_table(source: Path) -> bool:
    """Whether rows are CSV, or else JSON. Raises `UsageError` for a name that is neither's."""
    kind = source.suffix.lower()
    if kind not in (".csv", ".json") and str(source) != STDIN:
        raise UsageError(
            f"--input {source}: give a .json or .csv file, or - for JSON from standard input"
        )
    return kind == ".csv"


def _score(
    client: Client,
    config: ModelConfig,
    source: Path,
    output: Path,
    refused: Path,
    ignore: list[str],
    formulas: bool,
    as_json: bool,
) -> None:
    """Score a CSV file with a progress bar, and print how many rows were scored and refused."""
    if not source.is_file():
        raise UsageError(f"there is no file {source}")
    if len({path.resolve() for path in (source, output, refused)}) < 3:
        raise UsageError("--input, --output and --refused must be three different files")
    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"scoring {escape(source.name)}", total=source.stat().st_size)
        scored = score_csv(
            client,
            config,
            source,
            output,
            refused,
            ignored=ignore,
            formulas=formulas,
            progress=lambda read: bar.update(task, completed=read),
        )
    if as_json:
        print(json.dumps({"answered": scored.answered, "refused": scored.refused}, indent=2))
    else:
        print(f"{scored.answered} rows scored in {output}")
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
        if path.suffix.lower() in (".json", ".csv") or str(path) == STDIN:
            raise UsageError(f"{path}: give rows with --input {path}")
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
                "rows with --input, or an .npz file with an array for each input"
            )


def _from_json(config: ModelConfig, source: Path) -> Iterator[_Request]:
    for index, row in enumerate(read_rows(source)):
        yield _Request(f"row {index}", row_of(config, row, f"--input {source}: row {index}"))


def _in_order(config: ModelConfig, answer: Answer) -> Answer:
    """The answer with its outputs in the configuration's order, which Triton does not keep."""
    order = {output.name: place for place, output in enumerate(config.output)}
    names = sorted(answer.outputs, key=lambda name: order.get(name, len(order)))
    return replace(answer, outputs={name: answer.outputs[name] for name in names})


def _listed(array: np.ndarray) -> Any:
    if array.dtype == object:
        decode = np.vectorize(lambda v: v.decode(errors="replace"), otypes=[object])
        return decode(array).tolist() if array.size else array.tolist()
    return json_values(array.tolist())


def _cell(values: np.ndarray, index: int) -> str:
    if index >= len(values):
        return ""
    value = values[index]
    if isinstance(value, bytes):
        return escape(value.decode(errors="replace"))
    return f"{value:.4g}" if isinstance(value, np.floating) else str(value)
