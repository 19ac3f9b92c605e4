"""`twin feed`: logs to Kafka."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.logs import add_logs
from streams.cli.parser import add_bootstrap, add_json, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands
    from streams.settings import Settings
    from twin.sources import Mapping


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
    parser.add_argument("--plant", metavar="FILE", help="plant file (default: TAKTWIN_PLANT, else plant.toml)")
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
    parser.add_argument(
        "--follow",
        action="store_true",
        help="LOG is a folder, or a pattern ('folder/*.csv'): send its files as they appear and grow, until Ctrl-C",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="with --follow: where it remembers what was sent (default: .twin-feed.json in the folder)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from streams import interrupt
    from streams.cli import output
    from streams.cli.logs import open_all, progress, too_many
    from streams.feed import feed, records_there
    from streams.settings import Settings

    settings = Settings.from_env(bootstrap=args.bootstrap, plant=args.plant)
    args.plant = settings.plant
    if args.follow:
        return follow(args, settings)
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


def follow(args: argparse.Namespace, settings: "Settings") -> int:
    """Until Ctrl-C, which ends as any interrupted command; then start it again, and it goes on."""
    import logging
    from pathlib import Path

    from streams import interrupt
    from streams.cli import output
    from streams.cli.errors import USAGE, CommandError
    from streams.feed import feed
    from streams.follow import Follower, key_of
    from twin import plant as plants
    from twin.sources import load_mapping

    if len(args.logs) != 1 or args.speed is not None:
        raise CommandError("--follow takes one folder (or one pattern in quotes), and sends as fast as it can", USAGE)
    path = Path(args.logs[0])
    folder, pattern = (path, "*") if path.is_dir() else (path.parent, path.name)
    if not folder.is_dir():
        raise CommandError(f"{folder}: there is no such folder; make it, or correct the path", USAGE)
    plant = plants.load(args.plant)
    named = load_mapping(args.mapping, plant) if args.mapping else None
    rules = [] if named else [rule for rule in plants.sources(plant.source) if rule.mapping is not None]
    by_rule = [(rule, load_mapping(rule.mapping)) for rule in rules if rule.mapping is not None]

    def choose(path: Path) -> "Mapping | None":
        return named or next((mapping for rule, mapping in by_rule if rule.matches(str(path))), None)

    texts = [mapping.document.text for mapping in ([named] if named else [one for _, one in by_rule])]
    state = Path(args.state) if args.state else None
    logging.basicConfig(format="twin: %(message)s", level=logging.WARNING)
    follower = Follower(folder, plant, choose, key=key_of(plant, texts), state=state, pattern=pattern)
    output.note(f"following {folder / pattern} to {settings.topic('events')} at {settings.bootstrap}; Ctrl-C ends it")

    async def until_interrupted() -> None:
        try:
            await feed(follower, plant, settings=settings, arrow=args.arrow, after=follower.sent)
        finally:
            follower.stop()  # the thread that looks at the folder ends with it

    try:
        interrupt.run(until_interrupted())
    finally:
        output.line(follower.summary.report())
    return 0
