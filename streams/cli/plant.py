"""`twin plant`: the plant file."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import add_json, command, group

if TYPE_CHECKING:
    from streams.cli.parser import Commands


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
    from twin.plant.tree import tree

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
        output.line(tree(plant).rstrip())
        for note in notes(plant):
            output.note(f"note: {note}")
    return 0


def schema(_args: argparse.Namespace) -> int:
    from streams.cli import output
    from twin.plant.schema import schema as plant_schema

    output.as_json(plant_schema())
    return 0
