"""`twin feed`: logs to Kafka."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.logs import add_logs
from streams.cli.parser import add_bootstrap, add_json, add_plant, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


def speed(text: str) -> float | None:
    """A multiple of event time, or None for `max`."""
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number above 0 nor max")
    return value


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "feed",
        run,
        help="send logs to Kafka as events",
        example="twin feed --plant plant.toml --speed 60 press.csv",
        more="Each line is ended with a heartbeat, which closes what the log's end closes in a replay.",
    )
    add_logs(parser)
    add_plant(parser)
    add_bootstrap(parser)
    parser.add_argument(
        "--speed",
        type=speed,
        default="max",
        metavar="N|max",
        help="multiple of event time (default: max, as fast as it goes)",
    )
    parser.add_argument("--arrow", action="store_true", help="send Arrow IPC, up to 1,024 events per record, not JSON")
    parser.add_argument(
        "--once", action="store_true", help="send nothing where the events topic has records already (for supervisors)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from streams import interrupt
    from streams.cli import output
    from streams.cli.logs import open_all, progress, too_many
    from streams.feed import feed, records_there
    from streams.settings import Settings

    settings = Settings.from_env(bootstrap=args.bootstrap)
    if args.once and (known := interrupt.run(records_there(settings))):
        output.note(f"{settings.topic('events')} has {known:,} records already: nothing is sent (--once)")
        return 0
    plant, logs = open_all(args)
    with progress(logs) as update:
        sent = interrupt.run(
            feed(
                logs,
                plant,
                settings=settings,
                speed=args.speed,
                arrow=args.arrow,
                on_block=lambda summary: update(summary.events),
            )
        )
    read = logs.summary
    if args.json:
        output.as_json({"sent": asdict(sent), "read": read.as_dict()})
    else:
        output.line(read.report())
        rate = sent.events / sent.seconds if sent.seconds else 0.0
        output.line(
            f"{sent.events:,} events sent in {sent.records:,} records ({sent.bytes:,} bytes) to "
            f"{settings.topic('events')} at {settings.bootstrap}: {sent.seconds:.1f} s, {rate:,.0f} events/s"
        )
    return too_many(args, read)
