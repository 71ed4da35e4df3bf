"""`trimaran add`: the command, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exporters.api import add as add_file
from trimaran.cli.options import DEFAULT_REPOSITORY, RepositoryPath
from trimaran.system.console import console

if TYPE_CHECKING:  # protobuf takes a while to import, and wrong usage is refused at once
    from exporters.adding import Added

__all__ = ["add"]


def add(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An ONNX, TorchScript, AOTI or TensorRT file.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the file's name.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME:DTYPE[SHAPE]",
            help="An input, such as image:FP32[-1,3,224,224]; repeatable. TorchScript needs "
            "every input, batch axis first. For ONNX it fixes dynamic axes.",
        ),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            metavar="NAME[:DTYPE[SHAPE]]",
            help="An output's name, in the order of TorchScript's results; repeatable.",
        ),
    ] = None,
    max_batch_size: Annotated[
        int | None,
        typer.Option(
            help="Most rows in one batch; 0 for no batching. Default: 32 if the file can batch."
        ),
    ] = None,
    sample: Annotated[
        Path | None,
        typer.Option(help="Inputs to try it on: an .npz file with one array per input."),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Run the native code of an AOTI package (.pt2)."),
    ] = False,
    repository: RepositoryPath = DEFAULT_REPOSITORY,
) -> None:
    """Run an existing model file once, and add it to the repository."""
    with console(stderr=True).status(f"reading and trying {file.name}"):
        added = add_file(
            file,
            repository,
            name=name,
            inputs=inputs or (),
            outputs=outputs or (),
            max_batch_size=max_batch_size,
            sample=sample,
            trust=trust,
        )
    for line in described(added):
        console().print(line, markup=False, highlight=False, soft_wrap=True)


def described(added: Added) -> list[str]:
    """The version, its interface, what to know of it, and why it does not batch, line by line."""
    from trimaran.repository.config import inputs_of, outputs_of

    config = added.config
    batching = (
        f"batches of at most {config.max_batch_size}" if config.max_batch_size else "no batching"
    )
    lines = [f"{added.publication}: {config.backend}, {batching}"]
    lines += [f"  input   {tensor}" for tensor in inputs_of(config)]
    lines += [f"  output  {tensor}" for tensor in outputs_of(config)]
    lines += [f"  {remark}" for remark in added.remarks]
    if added.note:
        lines.append(f"  served without batching, because {added.note}")
    return lines
