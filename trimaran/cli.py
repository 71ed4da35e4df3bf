"""The command `trimaran`: a lazy table from command to the function that carries it out.

This is the one module of this package that knows the others, and it imports a command's module
only when that command runs, so that `trimaran --help` loads neither torch nor protobuf.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from trimaran.errors import TrimaranError

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo.command:demo", "Classify photographs with a real Triton, from start to end."),
    "explore": ("training.explore_command:explore", "Look at a table before training on it."),
    "train": ("training.train_command:train", "Train a model on a table, and report on it."),
    "export": ("exporters.command:export", "Turn a PyTorch model into verified versions."),
    "add": ("exporters.add_command:add", "Take an existing ONNX, TorchScript or TensorRT file."),
    "publish": ("ensembles.command:publish", "Publish an ensemble's wiring and Python models."),
    "release": ("serving.release_commands:release", "Make an ensemble's next release."),
    "deploy": ("serving.release_commands:deploy", "Make a release live, without a failed request."),
    "rollback": ("serving.release_commands:rollback", "Make the release before live again."),
    "serve": ("serving.serve_command:serve", "Run and supervise tritonserver on a repository."),
    "check": ("trimaran.check_command:check", "Judge a repository before a server sees it."),
    "status": ("serving.status_command:status", "Show models, versions, and what is live."),
    "bench": ("loadtests.bench.command:bench", "Measure a served model, or two side by side."),
    "load": ("loadtests.locusts.load_command:load", "Put Locust's users on a served model."),
    "perf": ("loadtests.perf.command:perf", "Measure with NVIDIA's perf_analyzer."),
    "tune": ("loadtests.tuning.command:tune", "Search the settings that serve a model fastest."),
    "predict": ("serving.predict_command:predict", "Send files or JSON to a served model."),
}
"""Each command's function, as `module:function`, and its line in the overview."""


class _LazyGroup(TyperGroup):
    """Lists commands from the table, and imports only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name in COMMANDS else command, rest


def _load(name: str) -> Any:
    module_name, function = COMMANDS[name][0].split(":")
    module = importlib.import_module(module_name)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(getattr(module, function))
    return typer.main.get_command(single)


app = typer.Typer(
    cls=_LazyGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _overview() -> None:
    """A trained PyTorch model, verified, versioned and served by NVIDIA Triton."""


def main() -> None:
    """Run the command; a user's mistake ends in one sentence and the error's exit status."""
    try:
        app(prog_name="trimaran")
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except ModuleNotFoundError as error:
        print(
            f"error: this needs the package {error.name!r}, which is not installed; install "
            "trimaran with its extras: pip install 'trimaran[export,serve,train]'",
            file=sys.stderr,
        )
        sys.exit(TrimaranError.exit_status)
    except OSError as error:  # a full disk, a missing permission, a port that is taken
        print(f"error: {error}", file=sys.stderr)
        sys.exit(TrimaranError.exit_status)


if __name__ == "__main__":
    main()
