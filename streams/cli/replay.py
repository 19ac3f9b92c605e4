"""`twin replay`: logs to Parquet without a broker."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.logs import add_logs
from streams.cli.parser import add_json, add_plant, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands
    from twin.replay import ReplayReport


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "replay",
        run,
        help="compute logs into an audit root without a broker, as fast as it goes",
        example="twin replay --plant plant.toml press.csv --audit audit",
        more="The same code and the same rows as feed and workers; `twin audit digest` shows that they are.",
    )
    add_logs(parser)
    add_plant(parser)
    parser.add_argument("--audit", metavar="FOLDER", required=True, help="audit root to write; must be new or empty")
    parser.add_argument("--force", action="store_true", help="remove an earlier replay from that folder first")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from streams.cli import output
    from streams.cli.logs import open_all, progress, too_many
    from twin.line.still_open import as_dict, told
    from twin.replay import replay

    plant, logs = open_all(args)
    with progress(logs) as update:
        report = replay(plant, logs, args.audit, progress=update, force=args.force)
    if args.json:
        result = {
            **asdict(report),
            "summary": report.summary.as_dict(),
            "events_per_s": report.events_per_s,
            "waiting": report.waiting,
            "open": [as_dict(one) for one in report.open],
        }
        output.as_json(result)
    else:
        output.line(report.summary.report())
        output.line(f"{report.events:,} events in {report.seconds:.1f} s ({report.events_per_s:,.0f} events/s)")
        output.line("events: " + became(report))
        for doubt in report.doubts:
            output.line(f"data quality: {doubt}")
        rows = ", ".join(f"{count:,} {name}" for name, count in report.rows.items())
        output.line(f"rows in {args.audit}: {rows}")
        for text in told(report.open):
            output.line(text)
    return too_many(args, report.summary, sum(report.refused.values()), report.events)


def became(report: "ReplayReport") -> str:
    """What has become of the events: the parts add up to all of them."""
    parts = {
        "folded": report.folded,
        "late and folded in": report.revising,
        "repeats": report.duplicates,
        **{f"refused as {reason}": count for reason, count in sorted(report.refused.items())},
        "that still wait or correct": report.waiting,
    }
    return " + ".join(f"{count:,} {what}" for what, count in parts.items() if count or what == "folded")
