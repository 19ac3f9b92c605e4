"""The parser of `twin`: every command has a help text, an example and a function that runs it."""

import argparse
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from streams.cli.errors import EXIT_CODES

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = argparse.Action

Run = Callable[[argparse.Namespace], int]

# In the order of the help: from the first look to the daily work.
MODULES: Final = (
    "demo",
    "doctor",
    "config",
    "broker",
    "topics",
    "worker",
    "feed",
    "replay",
    "watch",
    "source",
    "correct",
    "notify",
    "plant",
    "schema",
    "audit",
    "report",
    "page",
    "figures",
    "warm",
    "health",
    "bench",
)


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of examples and shows the whole option on one line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)


def exit_code_lines() -> list[str]:
    return [f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items()]


def build() -> argparse.ArgumentParser:
    """The whole parser. Imports the command modules, which import nothing heavy themselves."""
    parser = argparse.ArgumentParser(
        prog="twin",
        description="Live digital twin of production lines: station events in, OEE and bottlenecks out, "
        "every figure provable.",
        epilog="\n".join(
            [
                "examples:",
                "  twin demo                                  everything at once, on this machine",
                "  twin replay --plant plant.toml log.csv --audit audit",
                "",
                "exit codes:",
                *exit_code_lines(),
            ]
        ),
        formatter_class=Formatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and end")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name in MODULES:
        importlib.import_module(f"streams.cli.{name}").add(commands)
    return parser


def command(
    commands: Commands, name: str, run: Run | None, *, help: str, example: str, more: str = ""
) -> argparse.ArgumentParser:
    """Add one command; `example` is shown under its help, `more` after the one-line help."""
    parser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}." + (f"\n\n{more}" if more else ""),
        epilog=f"example:\n  {example}",
        formatter_class=Formatter,
    )
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def group(commands: Commands, name: str, *, help: str, example: str) -> Commands:
    """Add a command that only holds others (`twin topics plan`)."""
    parser = command(commands, name, None, help=help, example=example)
    return parser.add_subparsers(title="commands", metavar="COMMAND", dest=f"{name}_command", required=True)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_plant(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("--plant", metavar="FILE", required=required, help="plant file (TOML)")


def add_bootstrap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bootstrap",
        metavar="HOST:PORT",
        help="Kafka to use (default: TAKTWIN_BOOTSTRAP, else the local one of `twin broker`)",
    )
