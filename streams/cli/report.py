"""`twin report`: what a shift, day, week, order or any span was, in a file to send or print."""

import argparse
from typing import TYPE_CHECKING, Final

from streams.cli import proof
from streams.cli.parser import command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


SPANS: Final = ("shift", "day", "week", "order", "span")


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "report",
        run,
        help="write the report of a line for a shift, day, week, order or any span",
        example='twin report audit --line press-1 --shift "2026-03-28 night" --out shift.html',
        more="One HTML file that loads nothing and prints on A4, or a table as CSV. The same audit gives the same\n"
        "bytes. csv-de is for a German Excel: semicolons, decimal commas. Texts that a spreadsheet would take\n"
        "for formulas get an apostrophe before them; in a workbook they are texts. The page has the same files.",
    )
    parser.add_argument("root", metavar="FOLDER", help="audit root")
    parser.add_argument("--line", metavar="LINE", required=True, help="line id")
    add_span(parser)
    parser.add_argument("--out", metavar="FILE", help="file to write (default: stdout)")
    parser.add_argument(
        "--format",
        choices=("html", "csv", "csv-de", "json", "xlsx", "eml"),
        default="html",
        help="html (default), csv, csv-de, json, xlsx (a workbook) or eml (a mail for your own mailer to send)",
    )
    parser.add_argument(
        "--table",
        metavar="TABLE",
        default="pareto",
        help="of csv: waterfall, lost, stations, pareto, charged, trend, hours, timeline, "
        "shifts, days, orders, changeovers, usage, by_factor, bottleneck, characteristics, average_weight, "
        "control_charts, defects, defects_of_products, yields, alerts or refused (default: pareto)",
    )
    parser.add_argument("--factors", metavar="FILE", help="TOML file of factors: what was used, as CO2e and money")
    parser.add_argument("--lang", choices=("en", "de"), default="en", help="language (default: en)")
    parser.add_argument(
        "--as-of", metavar="TIME", type=proof.instant, help="what was believed at this event time (RFC 3339)"
    )


def add_span(parser: argparse.ArgumentParser) -> None:
    span = parser.add_mutually_exclusive_group(required=True)
    span.add_argument("--shift", metavar="SHIFT", help='local date and id, such as "2026-03-28 night"')
    span.add_argument("--day", metavar="DATE", help="production day, such as 2026-03-28")
    span.add_argument("--week", metavar="WEEK", help="ISO week, such as 2026-W13")
    span.add_argument("--order", metavar="ORDER", help="order id, once it has ended")
    span.add_argument("--span", metavar="FROM/TO", help="two instants, RFC 3339")


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from streams.cli.errors import USAGE, CommandError
    from streams.cli.output import text
    from streams.cli.roots import readable
    from twin.report.build import report
    from twin.report.factors import load
    from twin.report.files import as_bytes

    kind = next(name for name in SPANS if getattr(args, name) is not None)
    with readable(args.root) as root:
        factors = None if args.factors is None else load(args.factors)
        found = report(root, args.line, kind, getattr(args, kind), as_of_ns=args.as_of, factors=factors)
    if args.out is None and args.format == "xlsx":
        raise CommandError("a workbook is no text: give it a file with --out report.xlsx", USAGE)
    made = as_bytes(found, args.format, args.table, args.lang)
    if args.out is None:
        text(made.decode())
    else:
        # Line ends as they are: CSV has its own.
        Path(args.out).write_bytes(made)
    return 0
