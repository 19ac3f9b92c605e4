"""`twin health`: is the worker of this machine, container or unit in order?"""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import add_json, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "health",
        run,
        help="ask this machine's or container's own worker whether it is ready; exit code 1 where it is not",
        example="twin health --alive",
        more="For HEALTHCHECK and probes. Asks TAKTWIN_HEALTH_PORT; where that is 0, the port that the worker has\n"
        "left in its runtime folder. Several workers of one machine: each has its own port, so name it.\n"
        "A page is asked with --alive and its port.",
    )
    parser.add_argument("--alive", action="store_true", help="only whether it answers at all")
    parser.add_argument("--port", type=int, metavar="N", help="port of the worker (default: TAKTWIN_HEALTH_PORT)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from streams.cli import output
    from streams.cli.errors import OK, PROBLEM
    from streams.settings import Settings
    from streams.worker.runtime import ask

    settings = Settings.from_env(health_port=args.port)
    answer = ask(settings, "/alive" if args.alive else "/ready")
    if args.json:
        output.as_json({"good": answer.good, "said": answer.said, "body": answer.body})
    else:
        output.line(answer.said)
    return OK if answer.good else PROBLEM
