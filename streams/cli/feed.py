"""`twin feed`: logs to Kafka."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from streams.cli.logs import add_logs
from streams.cli.parser import add_bootstrap, add_json, command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streams.cli.parser import Commands
    from streams.settings import Settings
    from streams.tools.feed import FeedSummary
    from streams.tools.ledger import FileFed, Ledger
    from streams.tools.taken import Taken
    from twin.plant.model import Plant
    from twin.sources import Batch, Mapping, Summary


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


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "feed",
        run,
        help="send logs to Kafka as events",
        example="twin feed --plant plant.toml --speed 60 press.csv",
        more="Each line is ended with a heartbeat, which closes what the log's end closes in a replay. Files that were "
        "sent are known again (topic twin.fed), and the next ones go on where they ended. Exit code 1 where most "
        "events were late, repeated or refused.",
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
    parser.add_argument(
        "--open",
        action="store_true",
        help="do not end the lines: the log's next piece follows at once",
    )
    parser.add_argument(
        "--late",
        action="store_true",
        help="send also what lies before the end of a log of the same line that was sent before",
    )
    parser.add_argument("--again", action="store_true", help="send also files that were sent before: they count again")
    parser.add_argument(
        "--wait",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait for a worker, if there is one, to say what it took; 0: not at all (default: 10)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from streams.cli.roots import local_logs
    from streams.settings import Settings

    settings = Settings.from_env(bootstrap=args.bootstrap, plant=args.plant)
    args.plant = settings.plant
    if args.follow:
        return follow(args, settings)
    with local_logs(args):
        return _run(args, settings)


def _run(args: argparse.Namespace, settings: "Settings") -> int:
    from dataclasses import asdict

    from streams import interrupt
    from streams.cli import output
    from streams.cli.logs import too_many
    from streams.cli.roots import shown
    from streams.tools.feed import FeedSummary, records_there
    from twin.sources import Summary

    if args.once and (known := interrupt.run(records_there(settings))):
        output.note(f"{settings.topic('events')} has {known:,} records already: nothing is sent (--once)")
        return 0
    done = interrupt.run(send(args, settings))
    if done is None:
        done = FeedSummary(), Summary(), None
        if not args.json:
            return 0
    sent, read, taken = done
    if args.json:
        told = None if taken is None else asdict(taken) | {"refused": dict(taken.refused)}
        output.as_json({"sent": asdict(sent), "read": read.as_dict(), "taken": told})
    else:
        output.line(shown(args, read.report()))
        rate = sent.events / sent.seconds if sent.seconds else 0.0
        output.line(
            f"{sent.events:,} events sent in {sent.records:,} records ({sent.bytes:,} bytes) to "
            f"{settings.topic('events')} at {settings.bootstrap}: {sent.seconds:.1f} s, {rate:,.0f} events/s"
        )
        for sentence in taken.report(sent.events) if taken is not None else []:
            output.line(sentence)
    if taken is not None and 2 * (taken.refused.total() + taken.repeats) > max(sent.events, 1):
        output.note("twin: most of the events were late, repeated or refused")
        return 1
    return too_many(args, read)


async def send(args: argparse.Namespace, settings: "Settings") -> "tuple[FeedSummary, Summary, Taken | None] | None":
    """Send the logs behind what was sent before; None: there is nothing to send. Then ask what became of it."""
    import asyncio

    from streams.cli import output
    from streams.cli.errors import CommandError
    from streams.cli.logs import open_all, progress
    from streams.kafka.access import check_access
    from streams.tools.feed import feed
    from streams.tools.ledger import Ledger, Run
    from streams.tools.taken import Outcome
    from twin import plant as plants

    plant = plants.load(args.plant)
    await check_access(settings)
    async with Ledger(settings, plant) as ledger:
        files, run_id = await asyncio.to_thread(choose, args, ledger, plant)
        if not files:
            return None
        plant, logs = open_all(args, ends=not args.open)
        run = Run(logs, ledger, files, run_id)
        if run.resumed:
            output.note(f"{run.fed.names}: goes on after the {run.fed.events:,} events that were sent")
        early = [] if run.resumed else await asyncio.to_thread(before_the_end, args, ledger, plant)
        told = ", ".join(early)
        if early and not args.late:
            raise CommandError(
                f"{told}. Nothing was sent: send it with --late (a line with `revise` takes what is not older than "
                "that, the rest is refused as late), and with --open what is followed by more at once"
            )
        if early:
            output.note(f"{told}: sent as it is (--late)")
        outcome = Outcome(settings) if args.wait > 0 else None
        if outcome is not None:
            await outcome.before()
        lines: set[int] = set()
        with progress(logs) as update:
            sent = await feed(
                noting(run, lines),
                plant,
                settings=settings,
                speed=args.speed,
                arrow=args.arrow,
                on_block=lambda summary: update(summary.events),
                journal=run,
            )
        taken = None
        if outcome is not None and sent.records:
            taken = await outcome.after(sent, {plant.lines[k].id for k in lines}, args.wait)
        return sent, logs.summary, taken


def noting(batches: "Iterable[Batch]", lines: set[int]) -> "Iterator[Batch]":
    """The batches as they come; the lines they are of are noted."""
    for block, refused in batches:
        lines.update(set(block.line.tolist()))
        yield block, refused


def choose(args: argparse.Namespace, ledger: "Ledger", plant: "Plant") -> "tuple[list[FileFed], str]":
    """The files to send, those that were not sent before, and the run they make. What was interrupted goes on as it
    began, or not at all."""
    from streams.cli import output
    from streams.cli.errors import CommandError
    from streams.tools.follow import key_of
    from streams.tools.ledger import fingerprint, run_key
    from twin.sources import log_paths

    mapping = Path(args.mapping).read_text(errors="replace") if args.mapping else ""
    key = key_of(plant, [mapping, str(args.open)])
    paths = list(dict.fromkeys(log.path for log in log_paths(args.logs)))
    files = [fingerprint(path) for path in paths]
    if args.again:
        return files, run_key(files, key)
    known = ledger.known(files)
    left = [not (file.sha256 in known and known[file.sha256].done) for file in files]
    for file, wanted in zip(files, left, strict=True):
        if not wanted:
            was = known[file.sha256]
            output.note(
                f"{file.name}: was sent before ({was.names}, {was.at}, {was.events:,} events); it is not sent again "
                "(--again: send it, and count it, once more)"
            )
    args.logs = [str(path) for path, wanted in zip(paths, left, strict=True) if wanted]
    files = [file for file, wanted in zip(files, left, strict=True) if wanted]
    begun = [known[file.sha256] for file in files if file.sha256 in known]
    if begun and run_key(files, key) not in ledger.runs:
        raise CommandError(
            f"{begun[0].names}: {begun[0].events:,} events were sent before the feed was interrupted, of these files "
            "together, under another plant or mapping; send them as then, and it goes on, or with --again: all of it "
            "counts once more"
        )
    return files, run_key(files, key)


def before_the_end(args: argparse.Namespace, ledger: "Ledger", plant: "Plant") -> list[str]:
    """What of the logs lies before the end of a log that was sent: told before anything is sent."""
    import numpy as np

    from streams.cli.logs import open_all
    from twin.time.rfc3339 import rfc3339

    closed = ledger.closed_ns()
    early, all_of = np.zeros_like(closed), np.zeros_like(closed)
    if not closed.any():
        return []
    first = True
    for block, _ in open_all(args, ends=False)[1]:
        # A log in order that begins behind all ends need not be read twice.
        if first and len(block) and int(block.ts.min()) >= int(closed.max()):
            return []
        first = first and not len(block)
        np.add.at(all_of, block.line, 1)
        np.add.at(early, block.line, block.ts < closed[block.line])
    told = []
    for k in np.flatnonzero(early).tolist():
        line = plant.lines[k]
        fed = ledger.lines[line.id]
        told.append(
            f"{line.id}: {early[k]:,} of {all_of[k]:,} events lie before {rfc3339(int(closed[k]))}, and are late: "
            f"{fed.by} has ended the line at {fed.closed}"
        )
    return told


def follow(args: argparse.Namespace, settings: "Settings") -> int:
    """Until Ctrl-C, which ends as any interrupted command; then start it again, and it goes on."""
    import logging

    from streams import interrupt
    from streams.cli import output
    from streams.cli.errors import USAGE, CommandError
    from streams.kafka.access import check_access
    from streams.tools.feed import feed
    from streams.tools.follow import Follower, key_of
    from streams.tools.ledger import Following, Ledger
    from twin import plant as plants
    from twin.sources import load_mapping
    from twin.store import is_url

    if len(args.logs) != 1 or args.speed is not None:
        raise CommandError("--follow takes one folder (or one pattern in quotes), and sends as fast as it can", USAGE)
    if is_url(args.logs[0]):
        raise CommandError(f"{args.logs[0]}: --follow looks at a folder; feed what is there by now without it", USAGE)
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
    ledger = Ledger(settings, plant)
    known = Following(ledger, folder)
    follower = Follower(folder, plant, choose, key=key_of(plant, texts), state=state, pattern=pattern, fed=known)
    output.note(f"following {folder / pattern} to {settings.topic('events')} at {settings.bootstrap}; Ctrl-C ends it")

    async def until_interrupted() -> None:
        try:
            await check_access(settings)
            async with ledger:
                known.follow(follower)
                await feed(follower, plant, settings=settings, arrow=args.arrow, journal=known)
        finally:
            follower.stop()  # the thread that looks at the folder ends with it

    try:
        interrupt.run(until_interrupted())
    finally:
        output.line(follower.summary.report())
    return 0
