"""`twin schema`: events and results as other programs need them."""

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
        help="print the schemas of events and results",
        example="twin schema --json-schema > event.schema.json",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--json-schema", action="store_true", help="JSON Schema of one event (the default)")
    which.add_argument("--arrow", action="store_true", help="Arrow schema of a record of events")
    which.add_argument("--results", action="store_true", help="JSON Schemas of the records of all result topics")
    which.add_argument(
        "--asyncapi", action="store_true", help="AsyncAPI document; it names the schemas as files beside it"
    )
    which.add_argument("--write", metavar="FOLDER", help="write all of them as files (docs/schemas has those)")


def run(args: argparse.Namespace) -> int:
    from streams.cli import output
    from twin.wire.schema import arrow_schema, json_schema

    if args.results or args.asyncapi or args.write:
        return _of_topics(args)
    if args.arrow:
        output.line(str(arrow_schema()))
    else:
        output.as_json(json_schema())
    return 0


def _of_topics(args: argparse.Namespace) -> int:
    from pathlib import Path

    from streams import schemas
    from streams.cli import output
    from streams.settings import Settings

    if args.write:
        folder = Path(args.write)
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in schemas.documents().items():
            (folder / name).write_text(schemas.text_of(document))
            output.line(str(folder / name))
    else:
        # The topics as the settings name them here; the committed document has the defaults.
        output.as_json(schemas.results() if args.results else schemas.asyncapi(Settings.from_env()))
    return 0
