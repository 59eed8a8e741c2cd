"""The command line's frame: which commands there are, and what its exit statuses mean.

A command is a row of `COMMANDS`; its module is imported when it is called, so that help and
completion load no database. What a row names is a function, the command itself, or a `typer.Typer`
of several commands. Each

* takes typed, annotated parameters; those that recur are in `options.py`;
* opens stores with `stores.py`, prints with `output.py`, and writes nothing when it only reads;
* raises a PersistError for what went wrong, which becomes one line on stderr; and
  `typer.Exit(1)` where it printed by itself that something is wrong.

Exit status: 0 all is well, 1 something is wrong, 2 the command was wrong, 130 it was interrupted.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from praison_persist._lazy import load
from praison_persist.errors import ConfigurationError, PersistError

__all__ = ["COMMANDS", "PROGRAM", "Command", "main"]

PROGRAM = "praison-persist"

# The modules whose only warnings are that they try again.
_RETRYING = ("praison_persist.sql.database", "praison_persist._vendor")

# What typer raises for a command that is wrong. It exports only this subclass of it, and has had
# it from click in some releases and from a copy of its own in others.
_Wrong: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a group of commands, by name.

    Attributes:
        path: "module:attribute" of a function, or of a `typer.Typer`.
        summary: one line for the list of commands.
    """

    name: str
    path: str
    summary: str


COMMANDS = (
    Command(
        "doctor", "praison_persist.cli.doctor:doctor", "Connect to the stores; say what is wrong."
    ),
    Command("run", "praison_persist.cli.run:run", "Ask an agent, and keep the turn."),
    Command(
        "resume", "praison_persist.cli.run:resume", "Show a session that exists, or go on with it."
    ),
    Command(
        "db",
        "praison_persist.cli.db:app",
        "Create, adopt, upgrade and check the tables of a SQL database.",
    ),
    Command(
        "sessions",
        "praison_persist.cli.sessions:app",
        "List, show, search, fork, rename, export, import and delete sessions.",
    ),
    Command(
        "stats",
        "praison_persist.cli.stats:stats",
        "Plot what runs took: tokens, cost and time.",
    ),
    Command(
        "copy",
        "praison_persist.cli.copy:copy",
        "Copy conversations, state or knowledge between any two backends.",
    ),
    Command(
        "import-legacy",
        "praison_persist.cli.import_legacy:import_legacy",
        "Take over sessions and runs that praisonai kept.",
    ),
)


class _Commands(TyperGroup):
    """The commands, each loaded when it is called or completed, not when it is listed."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._rows = {row.name: row for row in COMMANDS}
        for row in COMMANDS:
            self.add_command(TyperCommand(row.name, help=row.summary))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as the base class
        """Return the names in the order of the table."""
        return list(self._rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that the words begin with, loaded, and the words behind it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in self._rows:
            command = _loaded(self._rows[name])
        return name, command, rest


def _loaded(row: Command) -> Any:
    """Return a command as typer runs it."""
    found = load(row.path, name=row.name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(row.name)(found)
        found = alone
    command: Any = typer.main.get_command(found)
    command.name = row.name
    return command


app = typer.Typer(
    cls=_Commands,
    invoke_without_command=True,
    pretty_exceptions_enable=False,  # they would show the values of variables, passwords too
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import praison_persist  # noqa: PLC0415 - this module is a part of it

        typer.echo(f"{PROGRAM} {praison_persist.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Persistence of AI agents: run them, look at what they keep, and look after the databases."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own if None); return its exit status."""
    _print_whatever_comes()
    with _tries_unlogged():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    command: Any = typer.main.get_command(app)
    try:
        status = command.main(
            None if argv is None else list(argv), prog_name=PROGRAM, standalone_mode=False
        )
    except _Wrong as error:
        context = getattr(error, "ctx", None)
        path = PROGRAM if context is None else context.command_path
        _complain(f"{error.format_message()} See: {path} --help")
        return int(error.exit_code)
    except PersistError as error:
        _complain(str(error))
        return 2 if isinstance(error, ConfigurationError) else 1
    except OSError as error:
        _complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        return 1
    except (typer.Abort, KeyboardInterrupt):
        _complain("Interrupted")
        return 130
    return status if isinstance(status, int) else 0


def _complain(message: str) -> None:
    typer.echo(f"{PROGRAM}: {' '.join(message.split())}", err=True)


@contextlib.contextmanager
def _tries_unlogged() -> Iterator[None]:
    """Log no try that failed: what is wrong is one line, the last error's, with all tries in it."""
    loggers = [logging.getLogger(name) for name in _RETRYING]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _print_whatever_comes() -> None:
    """Escape what the encoding of the terminal lacks, instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError):  # it is closed
                stream.reconfigure(errors="backslashreplace")
