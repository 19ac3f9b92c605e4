"""`twin config`: what a worker started here would use, and where each value comes from."""

import argparse
from typing import TYPE_CHECKING, Any, Final

from streams.cli.parser import add_bootstrap, add_json, command, group

if TYPE_CHECKING:
    from streams.cli.parser import Commands

_ARGUMENTS: Final = ("plant", "audit", "bootstrap", "health_port")


def add(commands: "Commands") -> None:
    config = group(commands, "config", help="show the settings", example="twin config show")
    parser = command(
        config,
        "show",
        show,
        help="print every setting, its value and where it comes from; secrets are masked",
        example="twin config show --json",
        more="Takes the arguments of `twin worker`, and so shows what they would change.\n"
        "TAKTWIN_ variables that set nothing are named at the end: most likely they are misspelt.",
    )
    parser.add_argument("--plant", metavar="FILE", help="plant file")
    parser.add_argument("--audit", metavar="FOLDER", help="audit root")
    add_bootstrap(parser)
    parser.add_argument("--health-port", type=int, metavar="N", help="port of /alive and /ready; 0: any; -1: none")
    add_json(parser)


def show(args: argparse.Namespace) -> int:
    from streams.cli import output
    from streams.settings import text, unknown_variables

    rows = _rows({name: getattr(args, name) for name in _ARGUMENTS})
    unknown = unknown_variables()
    if args.json:
        output.as_json({"settings": rows, "unknown": unknown})
        return 0
    cells = [[row["variable"], text(row["value"]), row["origin"]] for row in rows]
    output.columns(["variable", "value", "from"], cells)
    for name in unknown:
        output.note(f"{name} is set but means nothing; see docs/operating.md for the settings")
    return 0


def _rows(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per setting. A secret is its mask, also where it comes from a file; the file is not opened."""
    from streams.settings import SECRETS, Secret, Settings, origins, variable

    settings = Settings.from_env(**arguments)
    rows = []
    for name, origin in origins(**arguments).items():
        value = getattr(settings, name)
        if name in SECRETS:
            value = str(Secret("file")) if origin == "file" else str(value)
        rows.append({"name": name, "variable": variable(name), "value": value, "origin": origin})
    return rows
