"""The command `trimaran`: a lazy table from command to the function that carries it out.

This is the one module of this package that knows the others, and it imports a command's module
only when that command runs, so that `trimaran --help` loads neither torch nor protobuf.
"""

from __future__ import annotations

import atexit
import codecs
import errno
import gc
import io
import locale
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from traceback import walk_tb
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from trimaran.cli.project_defaults import project_defaults
from trimaran.cli.renamed import refuse_old_names
from trimaran.system.errors import TrimaranError
from trimaran.system.own_packages import own_module
from trimaran.system.processes import sigterm_as_interrupt

__all__ = ["COMMANDS", "extra_with", "main", "run"]

COMMANDS: dict[str, tuple[str, str]] = {
    "init": (
        "ensembles.init_command:init",
        "Make a project: a model, its test, and the commands for both.",
    ),
    "demo": (
        "ensembles.demo_command:demo",
        "Classify photographs with a real Triton, from start to end.",
    ),
    "explore": ("trimaran.cli.explore:explore", "Describe a table before training on it."),
    "train": ("trimaran.cli.train:train", "Train a model on a table, and report on it."),
    "export": ("exporters.export_command:export", "Export a PyTorch model, and verify it."),
    "optimize": (
        "loadtests.commands.optimize:optimize",
        "Export a model in every format, and find the fastest that is right.",
    ),
    "add": (
        "exporters.add_command:add",
        "Add an existing model file, such as ONNX.",
    ),
    "publish": (
        "ensembles.publish_command:publish",
        "Publish an ensemble and its Python models.",
    ),
    "run": ("trimaran.cli.run:run", "Train or predict for review, as rollout.toml says."),
    "retrain": (
        "monitoring.commands.retrain:retrain",
        "Train again what is due, and compare it with what is live.",
    ),
    "runs": ("trimaran.cli.runs:runs", "Show the runs: their states, metrics and data."),
    "review": ("trimaran.cli.review:review", "Answer the checklist of a pending run."),
    "approve": ("trimaran.cli.runs:approve", "Stand behind a reviewed run, as a second person."),
    "ignore": ("trimaran.cli.runs:ignore", "Decide that a run is never deployed."),
    "history": ("trimaran.cli.runs:history", "Tell each line of the ledger of runs."),
    "release": ("trimaran.cli.releases:release", "Make the next release of an ensemble."),
    "deploy": (
        "ensembles.deploy_command:deploy",
        "Make a release or a reviewed run live without a failed request.",
    ),
    "rollback": ("trimaran.cli.releases:rollback", "Go back to the release that was live before."),
    "score": ("trimaran.cli.score:score", "Score new rows by the live run, into a table."),
    "canary": (
        "trimaran.cli.traffic:canary",
        "Give a release a growing part of the live traffic, or take it back.",
    ),
    "ab": ("trimaran.cli.traffic:ab", "Compare a release with the live one on live traffic."),
    "shadow": (
        "trimaran.cli.shadow:shadow",
        "Compare a release's answers with the live one's, of which no client gets any.",
    ),
    "experiment report": (
        "trimaran.cli.experiment:report",
        "Show what two releases on live traffic have shown, and the verdict.",
    ),
    "experiment outcomes": (
        "trimaran.cli.experiment_outcomes:outcomes",
        "Count what clients did, such as sales, for the release that each was given.",
    ),
    "experiment weigh": (
        "trimaran.cli.experiment:weigh",
        "Change the candidate's part of the traffic.",
    ),
    "experiment stop": ("trimaran.cli.experiment:stop", "End an experiment undecided."),
    "serve": ("trimaran.cli.serve:serve", "Run and supervise tritonserver on a repository."),
    "gateway up": (
        "trimaran.cli.gateway:up",
        "Run Envoy in front of the servers: TLS, tokens, limits, plain REST.",
    ),
    "gateway check": ("trimaran.cli.gateway:check", "Check gateway.toml."),
    "gateway config": ("trimaran.cli.gateway:config", "Print what Envoy is told."),
    "gateway token": ("trimaran.cli.gateway:token", "Make a token with this machine's own key."),
    "check": ("trimaran.cli.check:check", "Check a repository before a server loads it."),
    "status": ("trimaran.cli.status:status", "Show models, versions, and what is live."),
    "predict": ("trimaran.cli.predict:predict", "Send files or rows to a served model."),
    "feedback": (
        "monitoring.commands.feedback:feedback",
        "Record the true outcomes (ground truth) of predictions.",
    ),
    "bench": ("loadtests.commands.bench:bench", "Benchmark a served model, or compare two."),
    "locust": ("loadtests.commands.locust:locust", "Load-test a served model with Locust's users."),
    "perf": ("loadtests.commands.perf:perf", "Measure a served model with perf_analyzer."),
    "tune": ("loadtests.commands.tune:tune", "Search for the fastest settings of a model."),
    "monitor up": ("monitoring.commands.up:up", "Run Prometheus and log alerts."),
    "monitor report": (
        "monitoring.commands.report:report",
        "Report on a window, with SLOs.",
    ),
    "monitor dashboard": ("monitoring.commands.report:dashboard", "Serve the report as a page."),
    "monitor drift": (
        "monitoring.commands.drift:drift",
        "Compare what is served with the training data.",
    ),
    "monitor accuracy": (
        "monitoring.commands.accuracy:accuracy",
        "Compare predictions with their true outcomes.",
    ),
    "monitor watch": ("monitoring.commands.watch:watch", "Show live rates, latencies and errors."),
    "privacy erase": (
        "trimaran.cli.privacy:erase",
        "Remove a person from logs and indices, and record it.",
    ),
}
"""Each command's function, as `module:function`, and its line in the overview."""

GROUPS: dict[str, str] = {
    "experiment": "Two releases on live traffic, compared: report, outcomes, weigh, stop.",
    "gateway": "The front door, with Envoy: up, check, config, token.",
    "monitor": "Watch a server with Prometheus: up, report, drift, accuracy.",
    "privacy": "Remove what is kept about a person: erase.",
}
"""Commands of two words, by the first of them."""

_OVERVIEW = "Export, verify, release and serve PyTorch models with NVIDIA Triton."

_REMEDIES: dict[int, str] = {
    errno.ENOSPC: "; free some of that disk, and run the same command again",
    errno.EACCES: "; make this user its owner, or choose another place",
    errno.EROFS: "; choose a place that can be written",
}
"""What to do about an error of the operating system, by its number."""
_PACKAGES = {
    "PIL": "pillow",
    "imblearn": "imbalanced-learn",
    "mlflow": "mlflow-skinny",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""What the package of a module is called, where it is another name."""
_EXTRAS = ("export", "serve", "train")
"""Those to name first."""


class _LazyGroup(TyperGroup):
    """Lists commands from the table, and imports only the one that is called."""

    prefix = ""
    """The words before the commands of this group."""

    def list_commands(self, ctx: Any) -> list[str]:
        mine = (name.removeprefix(self.prefix) for name in COMMANDS if name.startswith(self.prefix))
        return list(dict.fromkeys(name.split()[0] for name in mine))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        name = self.prefix + cmd_name
        return TyperCommand(cmd_name, help=GROUPS[name] if name in GROUPS else COMMANDS[name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if not ctx.resilient_parsing:  # not while a shell completes a line
            refuse_old_names(self.prefix + args[0], args[1:])
            if not self.prefix:  # groups hand it down
                ctx.default_map = project_defaults(Path.cwd(), COMMANDS)
        name, command, rest = super().resolve_command(ctx, args)
        return name, _load(self.prefix + name) if name else command, rest


def _load(name: str) -> Any:
    if name in GROUPS:
        return _group(GROUPS[name], f"{name} ")
    module_name, function = COMMANDS[name][0].split(":")
    module = own_module(module_name)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name.split()[-1])(getattr(module, function))
    return typer.main.get_command(single)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"trimaran {version('trimaran')}")
        raise typer.Exit


def _group(words: str, prefix: str = "") -> Any:
    app = typer.Typer(
        cls=type("_Group", (_LazyGroup,), {"prefix": prefix}),
        rich_markup_mode=None,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=not prefix,
    )
    app.callback(help=words)(_no_options if prefix else _overview_options)
    return typer.main.get_command(app)


def _no_options() -> None:
    pass


def _overview_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command; a user's mistake ends in one sentence and the error's exit status."""
    try:
        with sigterm_as_interrupt():
            _group(_OVERVIEW)(prog_name="trimaran")
    except TrimaranError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except ModuleNotFoundError as error:
        frames = (frame for frame, _ in walk_tb(error.__traceback__))
        importers = [str(frame.f_globals.get("__name__")) for frame in frames]
        extra = extra_with(error.name or "", importers)
        print(
            f"error: this needs the package {error.name!r}, which is not installed; run "
            f"pip install '.[{extra or ','.join(_EXTRAS)}]' in trimaran's checkout",
            file=sys.stderr,
        )
        sys.exit(TrimaranError.exit_status)
    except OSError as error:  # a full disk, a missing permission, a port that is taken
        print(f"error: {error}{_REMEDIES.get(error.errno or 0, '')}", file=sys.stderr)
        sys.exit(TrimaranError.exit_status)


def extra_with(module: str, importers: Iterable[str] = ()) -> str:
    """The extra of trimaran that has the package of a module; empty where none has.

    Of several it is the one that a module of ours is called by that imported it.
    """
    from importlib.metadata import requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    top = module.partition(".")[0]
    wanted = canonicalize_name(_PACKAGES.get(top, top))
    found = {
        named[1]
        for each in map(Requirement, requires("trimaran") or ())
        if canonicalize_name(each.name) == wanted
        and (named := re.search(r'extra == "([^"]+)"', str(each.marker or "")))
    }
    near = (part for name in importers for part in name.split("."))
    return next((each for each in (*near, *_EXTRAS, *sorted(found)) if each in found), "")


def run() -> None:
    """The command as a process: files are UTF-8 whatever the locale says, and so are children's."""
    spoken = locale.getencoding()
    if codecs.lookup(spoken) != codecs.lookup("utf-8"):
        os.environ["PYTHONUTF8"] = "1"
        if not sys.flags.utf8_mode:
            again = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
            os.execv(sys.executable, again)  # noqa: S606 - itself
        _write_as(spoken, "replace")
    else:
        _write_as(spoken, "backslashreplace")  # a name of a file need not be UTF-8
    _collect_seldom()
    main()


def _collect_seldom() -> None:
    """Spare walks over all that torch and other libraries load: two fifths of an export's time.

    By default, Python looks for unreachable objects at each 700th new one, and before it ends.
    """
    gc.set_threshold(10_000, 10, 10)
    atexit.register(gc.freeze)


def _write_as(encoding: str, errors: str) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors=errors)
