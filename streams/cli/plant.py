"""`twin plant`: the plant file."""

import argparse
from typing import TYPE_CHECKING, Final

from streams.cli.parser import add_json, command, group

if TYPE_CHECKING:
    from streams.cli.parser import Commands

# Beyond these a tree says less than a summary: that of 10,000 lines is 3.6 MB.
MOST_LINES: Final = 100
MOST_NOTES: Final = 20


def add(commands: "Commands") -> None:
    plant = group(
        commands, "plant", help="check a plant file, or print its schema", example="twin plant check plant.toml"
    )
    parser = command(
        plant,
        "check",
        check,
        help="print the lines of a plant file as a tree, or every mistake with file, line and key",
        example="twin plant check plant.toml",
        more="Shows the memory that the windows of each line need.",
    )
    parser.add_argument("file", metavar="FILE", help="plant file (TOML)")
    parser.add_argument(
        "--tree", action="store_true", help=f"every line, also of a plant with more than {MOST_LINES} lines"
    )
    add_json(parser)
    command(
        plant,
        "schema",
        schema,
        help="print the JSON Schema of plant files, for editors",
        example="twin plant schema > plant.schema.json",
    )


def check(args: argparse.Namespace) -> int:
    from streams.cli import output
    from twin import plant as plants
    from twin.plant.notes import notes
    from twin.plant.tree import summary, tree

    plant = plants.load(args.file)
    if args.json:
        output.as_json(
            {
                "site": plant.site,
                "hash": plant.hash,
                "lines": [
                    {"id": line.id, "stations": [station.id for station in line.stations]} for line in plant.lines
                ],
                "notes": notes(plant),
            }
        )
    else:
        whole = args.tree or len(plant.lines) <= MOST_LINES
        output.line((tree if whole else summary)(plant).rstrip())
        found = notes(plant)
        for note in found if whole else found[:MOST_NOTES]:
            output.note(f"note: {note}")
        if not whole:
            more = f", and {len(found) - MOST_NOTES} more notes" if len(found) > MOST_NOTES else ""
            output.note(f"note: with more than {MOST_LINES} lines, --tree shows each of them{more}")
    return 0


def schema(_args: argparse.Namespace) -> int:
    from streams.cli import output
    from twin.plant.schema import schema as plant_schema

    output.as_json(plant_schema())
    return 0
