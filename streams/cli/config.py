"""`twin config`: what a worker started here would use, and where each value comes from."""

import argparse
from typing import TYPE_CHECKING, Any

from streams.cli.parser import add_json, command, group
from streams.cli.worker import add_settings, given

if TYPE_CHECKING:
    from streams.cli.parser import Commands
    from streams.settings import Settings


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
    add_settings(parser)
    add_json(parser)


def show(args: argparse.Namespace) -> int:
    from streams.cli import output
    from streams.settings import text, unknown_variables

    rows = _rows(given(args))
    unknown = unknown_variables()
    if args.json:
        output.as_json({"settings": rows, "unknown": unknown})
        return 0
    cells = [[row["variable"], text(row["value"]), row["origin"]] for row in rows]
    output.columns(["variable", "value", "from"], cells)
    for name in unknown:
        output.note(f"{name} is set but means nothing; see docs/operating.md for the settings")
    return 0


def _masked(settings: "Settings", name: str) -> str:
    from streams.settings import Secret, SettingsError

    try:
        return str(Secret(settings.secret(name)))
    except SettingsError:
        return "(its file cannot be read)"  # a worker would not start


def _rows(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per setting. A secret is its mask, also where it comes from a file that can be read."""
    from streams.settings import SECRETS, Settings, origins, variable

    settings = Settings.from_env(**arguments)
    rows = []
    for name, origin in origins(**arguments).items():
        value = getattr(settings, name)
        if name in SECRETS:
            value = _masked(settings, name)
        rows.append({"name": name, "variable": variable(name), "value": value, "origin": origin})
    return rows
