"""`twin bench`: the product's own benchmarks."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "bench",
        run,
        help="measure kernels, decoding, replay, workers on a local Kafka, latency, recovery, memory",
        example="twin bench --json bench.json",
        more="Figures, not a pass or fail: only ratios within one run mean something on another machine.\n"
        "Exit code 1 where a benchmark could not be run; the others' figures are kept.",
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="benchmarks or groups of them (default: all)")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--repeats", type=int, metavar="N", help="repeats of each (default: its own number)")
    parser.add_argument("--long", action="store_true", help="all of them, larger inputs, more repeats: 40 minutes")
    parser.add_argument("--json", metavar="FILE", help="write the figures, for `python -m streams.bench.report`")


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from rich.console import Console

    from streams.bench import run as running
    from streams.bench.catalog import ALL
    from streams.bench.declare import BenchError
    from streams.bench.figures import encode
    from streams.cli import output
    from streams.cli.errors import PROBLEM, USAGE, CommandError
    from streams.interrupt import interrupts

    if args.repeats is not None and args.repeats < 1:
        raise CommandError("--repeats: at least 1", USAGE)
    try:
        benchmarks = running.chosen(ALL, args.names, long=args.long)
    except BenchError as error:
        raise CommandError(str(error), USAGE) from error
    if args.list:
        output.line(running.listing(benchmarks if args.names else ALL, long=args.long))
        return 0
    with interrupts():
        report, failed = running.run(benchmarks, long=args.long, repeats=args.repeats, note=output.note)
    if report.figures:
        # Narrower, what is counted becomes a column of single words.
        running.show(report, Console(highlight=False, width=max(Console().width, 130)))
    if args.json:
        Path(args.json).write_bytes(encode(report))
    for line in failed:
        output.note(f"not measured: {line}")
    return PROBLEM if failed else 0
