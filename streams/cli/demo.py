"""`twin demo`: everything at once, on this machine."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "demo",
        run,
        help="start a Kafka, two workers and two real logs, and show the result beside the published figures",
        example="twin demo --stay",
        more="Stops everything it started, also after Ctrl-C; the audited Parquet stays.\n"
        "Exit code 1 where a figure differs from the published one.",
    )
    parser.add_argument("--stay", action="store_true", help="keep everything running until Ctrl-C")
    parser.add_argument(
        "--bootstrap", metavar="HOST:PORT", help="use this Kafka, with topics of its own (default: a local one)"
    )
    parser.add_argument("--audit", metavar="FOLDER", help="audit root, new or empty (default: a new one under ./audit)")
    parser.add_argument("--record", metavar="FILE", help=argparse.SUPPRESS)  # an SVG picture for the documentation


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from rich.console import Console

    from streams.cli.errors import PROBLEM
    from streams.interrupt import interrupts
    from streams.tools.demo import Options
    from streams.tools.demo import run as run_demo

    console = Console(record=bool(args.record), highlight=False)
    options = Options(bootstrap=args.bootstrap, audit=Path(args.audit) if args.audit else None, stay=args.stay)
    with interrupts():
        agrees = run_demo(options, console)
    if args.record:
        console.save_svg(args.record, title="make demo")
    return 0 if agrees else PROBLEM
