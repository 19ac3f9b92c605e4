"""`twin schema`: the events as a program that sends them needs them."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "schema",
        run,
        help="print the schema of events",
        example="twin schema --json-schema > event.schema.json",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--json-schema", action="store_true", help="JSON Schema of one event (the default)")
    which.add_argument("--arrow", action="store_true", help="Arrow schema of a record of events")


def run(args: argparse.Namespace) -> int:
    from streams.cli import output
    from twin.wire.schema import arrow_schema, json_schema

    if args.arrow:
        output.line(str(arrow_schema()))
    else:
        output.as_json(json_schema())
    return 0
