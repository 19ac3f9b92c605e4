"""`twin correct`: an operator's later word."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import add_bootstrap, add_json, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands

VERBS = ("stop", "split", "reason", "count", "order", "undo")


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "correct",
        run,
        help="send an operator's correction as an event",
        example="twin correct stop --line filling-1 --station filler --event 2026-01-01T08:00:00Z --reason 'no caps' "
        "--by op-17",
        more="stop: a reason (or a state) for all of the stop that an event lies in. split: from --at on another\n"
        "reason or state. reason: of one event. count: other parts or another reading of an event, or a count never\n"
        "sent. order: another start, product, quantity or due, or one never sent. undo: an event, or a\n"
        "correction, never was. What the line's `revise` no longer reaches is refused before it is sent.",
    )
    parser.add_argument("verb", choices=VERBS, help="what is corrected")
    parser.add_argument("--plant", metavar="FILE", help="plant file (default: TAKTWIN_PLANT, else plant.toml)")
    add_bootstrap(parser)
    parser.add_argument("--line", metavar="ID", required=True, help="its line")
    parser.add_argument("--station", metavar="ID", help="its station (an order of the line has none)")
    parser.add_argument("--event", metavar="EVENT", help="which event: its seq, epoch/seq or time")
    parser.add_argument("--at", metavar="TIME", help="when it was: of a split, a count, the start or end of an order")
    for name, what in (
        ("reason", "the reason it should have had"),
        ("state", "the state word it should have had"),
        ("counter", "the counter whose reading it is"),
        ("order", "the order"),
        ("product", "its product"),
        ("due", "when it is due"),
    ):
        parser.add_argument(f"--{name}", metavar=name.upper(), help=what)
    parser.add_argument("--action", choices=("start", "end"), help="of an order (default: start)")
    for name in ("good", "scrap", "rework", "value", "quantity"):
        parser.add_argument(f"--{name}", metavar="N", type=int, help="a whole number")
    parser.add_argument("--by", metavar="ID", required=True, help="who says it: an opaque id, never a name")
    parser.add_argument("--cause", metavar="STATION", help="station that caused it")
    parser.add_argument("--note", metavar="TEXT", help="only its salted hash is sent; keep the text and the salt")
    parser.add_argument("--now", metavar="TIME", help="where the line stands (default: as its newest view says)")
    parser.add_argument("--dry-run", action="store_true", help="check and show the event, and send nothing")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from streams import interrupt
    from streams.cli import output
    from streams.settings import Settings
    from streams.tools.correct import correct
    from twin import plant as plants
    from twin.time.rfc3339 import rfc3339

    settings = Settings.from_env(bootstrap=args.bootstrap, plant=args.plant)
    plant = plants.load(settings.plant)
    names = ("line", "station", "reason", "state", "counter", "order", "product", "action", "good", "scrap", "rework")
    said = {name: getattr(args, name) for name in (*names, "value", "quantity", "by", "cause", "note", "due")}
    said |= {"corrects": args.event, "at": _ns(args.at), "due": _ns(args.due)}
    now = _ns(args.now)
    sent = interrupt.run(correct(plant, settings, args.verb, said, now_ns=now, send=not args.dry_run))
    if args.json:
        output.as_json(asdict(sent))
        return 0
    import json

    output.line(json.dumps(sent.event, ensure_ascii=False))
    if sent.salt:
        output.line(f"salt of the note, to be kept beside it: {sent.salt}")
    done = "checked, not sent" if args.dry_run else f"sent to {settings.topic('events')} at {settings.bootstrap}"
    if sent.until_ns is None:
        output.note(f"{done}; where no such event is kept, it is refused as nothing_to_correct")
    else:
        output.note(f"{done}; it can be corrected until the line's time passes {rfc3339(sent.until_ns)}")
    return 0


def _ns(text: str | None) -> int | None:
    from streams.cli.errors import USAGE, CommandError
    from twin.time.rfc3339 import parse_rfc3339

    if text is None:
        return None
    try:
        return int(text) if text.isdecimal() else parse_rfc3339(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no time: {error}", USAGE) from error
