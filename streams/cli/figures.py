"""`twin figures`: figures of mass production, of an audit root or of data in a file."""

import argparse
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from streams.cli import proof
from streams.cli.parser import add_json, command, group
from streams.cli.report import SPANS, add_span

if TYPE_CHECKING:
    from streams.cli.parser import Commands
    from twin.figures.of_audit import AuditChart


def add(commands: "Commands") -> None:
    figures = group(
        commands,
        "figures",
        help="control charts of an audit root; any figure of docs/figures.md from data",
        example="twin figures chart audit --line press-1 --chart p --per shift",
    )
    parser = command(
        figures,
        "chart",
        chart,
        help="draw a control chart's numbers from the rows of an audit root",
        example="twin figures chart audit --line press-1 --chart i_mr --of cycle_s --per order --phase1 20",
        more="p: parts not good at once, of all parts. u: stops per hour that the station was to run. i_mr: one value\n"
        "a row. Signals: `limit`, or the name of a run rule (Western Electric, Nelson).",
    )
    parser.add_argument("root", metavar="FOLDER", help="audit root")
    parser.add_argument("--line", metavar="LINE", required=True, help="line id")
    parser.add_argument("--station", metavar="STATION", help="station id (default: the line)")
    parser.add_argument("--chart", choices=("p", "u", "i_mr"), default="p", help="which chart (default: p)")
    parser.add_argument(
        "--of",
        metavar="NAME",
        help="p: not_good (default), scrap, rework; u: stops (default), minor_stops, downs; "
        "i_mr: cycle_s (default), availability, performance, quality, oee",
    )
    parser.add_argument("--per", metavar="WINDOW", default="shift", help="shift (default), day, order or a window's id")
    parser.add_argument("--phase1", metavar="N", type=int, help="the first N points make the limits (default: all)")
    parser.add_argument("--from", dest="start", metavar="TIME", type=proof.instant, help="rows from here on (RFC 3339)")
    parser.add_argument("--to", dest="end", metavar="TIME", type=proof.instant, help="rows up to here (RFC 3339)")
    parser.add_argument(
        "--as-of", metavar="TIME", type=proof.instant, help="what was believed at this event time (RFC 3339)"
    )
    add_json(parser)
    parser = command(
        figures,
        "usage",
        usage,
        help="energy and other media of a line, from the rows of an audit root: per unit, idle, peak, CO2e, money",
        example='twin figures usage audit --line press-1 --shift "2026-03-28 night" --factors factors.toml',
        more="By measure: the amount by what the station was doing, per good unit and per unit made, the least\n"
        "and the greatest clock quarter hour. --factors is a versioned set (docs/usage.md); where it has no factor\n"
        "for a time, the figure is null.",
    )
    parser.add_argument("root", metavar="FOLDER", help="audit root")
    parser.add_argument("--line", metavar="LINE", required=True, help="line id")
    add_span(parser)
    parser.add_argument("--factors", metavar="FILE", help="TOML file of factors, such as g CO2e per kWh")
    parser.add_argument(
        "--as-of", metavar="TIME", type=proof.instant, help="what was believed at this event time (RFC 3339)"
    )
    add_json(parser)
    parser = command(
        figures,
        "run",
        run,
        help="compute one kind of figure from a JSON file",
        example="twin figures run p data.json",
        more='The file is what the kind is given, such as {"n": 50, "defectives": [12, 15, 8]}; - is standard input.\n'
        'Ratios that are exact are written as texts such as "31/48". docs/figures.md has the kinds.',
    )
    parser.add_argument("kind", metavar="KIND", help="kind of figure (`twin figures list`)")
    parser.add_argument("file", metavar="FILE", help="JSON file, or -")
    command(figures, "list", list_kinds, help="list the kinds of figures", example="twin figures list")


def chart(args: argparse.Namespace) -> int:
    from streams.cli.errors import USAGE, CommandError
    from twin.figures.of_audit import chart as of_audit

    span = None
    if args.start is not None or args.end is not None:
        span = (args.start or 0, args.end if args.end is not None else 9_223_372_036_854_775_807)
    try:
        made = of_audit(
            args.root,
            args.line,
            args.chart,
            of=args.of,
            per=args.per,
            station=args.station,
            phase1=args.phase1,
            span_ns=span,
            as_of_ns=args.as_of,
        )
    except ValueError as error:
        raise CommandError(str(error), USAGE) from None
    (_as_json if args.json else _as_table)(made)
    return 0


def _as_json(made: "AuditChart") -> None:
    from streams.cli import output
    from twin.time.rfc3339 import rfc3339

    output.as_json(
        {
            "chart": made.kind,
            "of": made.of,
            "center": _plain(made.center),
            "sigma": made.sigma,
            "run_rules": list(made.run_rules),
            "points": [
                {
                    "start": rfc3339(point.start_ns),
                    "end": rfc3339(point.end_ns),
                    "name": point.name,
                    "product": point.product,
                    "phase": point.phase,
                    "count": point.count,
                    "size": _plain(point.size),
                    "value": _plain(point.value),
                    "limits": point.limits,
                    "signals": point.signals,
                }
                for point in made.points
            ],
        }
    )


def _as_table(made: "AuditChart") -> None:
    from streams.cli import output
    from twin.time.rfc3339 import rfc3339

    def short(value: Fraction | float | None) -> str:
        return "" if value is None else f"{float(value):.6g}"

    output.columns(
        ("end", "name", "phase", "size", made.of, "lower", "upper", "signals"),
        [
            (
                rfc3339(point.end_ns),
                point.name,
                point.phase,
                short(point.size),
                short(point.value),
                short(point.limits[0] if point.limits else None),
                short(point.limits[1] if point.limits else None),
                " ".join(point.signals),
            )
            for point in made.points
        ],
    )
    output.note(f"centre {short(made.center)}, {made.signals} of {len(made.points)} points with a signal")


def usage(args: argparse.Namespace) -> int:
    from streams.cli import output
    from streams.cli.roots import readable
    from twin.report import factors as sets
    from twin.report import usage as of_root
    from twin.report.build import Sheet
    from twin.report.spans import site_of, span_of
    from twin.time.rfc3339 import rfc3339

    kind = next(name for name in SPANS if getattr(args, name) is not None)
    known = sets.load(args.factors) if args.factors else None
    with readable(args.root) as root:
        line = site_of(root).line(args.line)
        span = span_of(root, line, kind, getattr(args, kind), args.as_of)
        rows = of_root.usage(Sheet(root, line, span, args.as_of), known)
    if args.json:
        about = {"line": line.id, "start": rfc3339(span.start_ns), "end": rfc3339(span.end_ns)}
        named = None if known is None else {"version": known.version, "hash": known.hash, "units": dict(known.gives)}
        output.as_json({**about, "factors": named, "usage": _plain(rows)})
        return 0
    shown = ("measure", "unit", "amount", *of_root.GROUPS, "per_good", "per_produced", "base_load", "peak")
    more = [name for gives, _ in (known.gives if known else ()) for name in (gives, f"{gives}_per_good")]

    def text(value: object) -> str:
        return "" if value is None else f"{float(value):.6g}" if isinstance(value, Fraction) else str(value)

    output.columns(
        ("station", *shown, *more),
        [(row["station"] or "(line)", *(text(row[name]) for name in (*shown, *more))) for row in rows],
    )
    output.note(f"{rfc3339(span.start_ns)} to {rfc3339(span.end_ns)}")
    if known is not None:
        units = ", ".join(f"{gives} in {unit}" for gives, unit in known.gives)
        output.note(f"factors {known.version} ({known.hash}): {units}")
    return 0


def run(args: argparse.Namespace) -> int:
    import json
    import sys
    from pathlib import Path

    from streams.cli import output
    from streams.cli.errors import USAGE, CommandError
    from twin.figures import KINDS

    if args.kind not in KINDS:
        raise CommandError(f"no kind {args.kind!r}: `twin figures list` shows them", USAGE)
    name = "standard input" if args.file == "-" else args.file
    text = sys.stdin.read() if args.file == "-" else Path(args.file).read_text(encoding="utf-8")
    try:
        given = json.loads(text)
    except ValueError as error:
        raise CommandError(f"{name}: no JSON: {error}", USAGE) from None
    if not isinstance(given, dict):
        raise CommandError(f"{name}: expected an object with what {args.kind} is given", USAGE)
    try:
        found = KINDS[args.kind](given)
    except ValueError as error:
        raise CommandError(f"{name}: {error}", USAGE) from None
    except FileNotFoundError as error:
        raise CommandError(f"{name}: {error.strerror or error}", USAGE) from None
    output.as_json(_plain(found))
    return 0


def list_kinds(_: argparse.Namespace) -> int:
    from streams.cli import output
    from twin.figures.kinds import SUBJECTS

    for subject in SUBJECTS:
        title = (subject.__doc__ or "").strip().splitlines()[0].removeprefix("Cases of ").rstrip(".")
        output.line(f"{title}: {', '.join(subject.KINDS)}")
    return 0


def _plain(value: Any) -> Any:
    """JSON: whole fractions as numbers, others as texts."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else str(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
