"""`twin topics`: what the topics should be, and making them so."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import add_bootstrap, add_json, command, group

if TYPE_CHECKING:
    from streams.cli.parser import Commands
    from streams.kafka.topics import Change
    from streams.settings import Settings


def add(commands: "Commands") -> None:
    topics = group(commands, "topics", help="compare or create the Kafka topics", example="twin topics plan")
    parser = command(
        topics,
        "plan",
        plan,
        help="print what would have to change, changing nothing",
        example="twin topics plan --bootstrap localhost:9092",
        more="Exit code 1 where something would change.",
    )
    _add_common(parser)
    parser = command(
        topics,
        "apply",
        apply,
        help="create what is missing and mend what differs",
        example="twin topics apply --bootstrap localhost:9092 --partitions 8",
        more="Never takes partitions away and never moves lines between partitions: it says so and ends with 1.",
    )
    _add_common(parser)
    parser = command(
        topics,
        "move",
        move,
        help="copy the events to a new prefix with more partitions",
        example="twin topics move --to works2 --partitions 12",
        more="Stop producers and workers first. Each copy names what it is of, so a move that was cut off goes on "
        "where it was. Where the first records are deleted, the states of the lines are handed over into --audit. See "
        "docs/operating.md for the steps before and after.",
    )
    parser.add_argument("--to", required=True, metavar="PREFIX", help="the new prefix; its topics are made")
    parser.add_argument(
        "--audit",
        default="",
        metavar="FOLDER",
        help="the new audit root (or s3://...), needed where the first records are deleted",
    )
    parser.add_argument(
        "--state",
        default="",
        metavar="FOLDER",
        help="of the new snapshots (or s3://...; default: TAKTWIN_STATE, or with --audit)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be copied, changing nothing")
    _add_common(parser)


def move(args: argparse.Namespace) -> int:
    import asyncio

    from streams.cli import output
    from streams.settings import Settings
    from streams.tools.move import move as copy

    settings = Settings.from_env(bootstrap=args.bootstrap, replication=args.replication)
    partitions = args.partitions if args.partitions is not None else settings.partitions
    moved = asyncio.run(copy(settings, args.to, partitions, audit=args.audit, state=args.state, dry_run=args.dry_run))
    if args.json:
        output.as_json(
            {
                "topic": moved.topic,
                "to": moved.to,
                "partitions": list(moved.partitions),
                "there": moved.there,
                "copied": {str(k): n for k, n in sorted(moved.copied.items())},
                "into": {str(k): moved.into[k] for k in range(moved.partitions[1])},
                "misplaced": moved.misplaced,
                "lines": {str(k): n for k, n in sorted(moved.states.items())},
                "begins": {str(k): n for k, n in sorted(moved.begins.items())},
                "fed": moved.fed,
            }
        )
        return 0
    what = "would be copied" if args.dry_run else "copied"
    output.line(
        f"{moved.topic} ({moved.partitions[0]} partitions) -> {moved.to} ({moved.partitions[1]}): "
        f"{moved.copied.total():,} records {what}, {moved.there:,} were there"
    )
    if moved.states:
        begins = ", ".join(f"{number} at {offset}" for number, offset in sorted(moved.begins.items()))
        what = "would be handed over" if args.dry_run else "are handed over"
        output.line(f"  states of {sum(moved.states.values()):,} lines {what}; they stand at these offsets: {begins}")
    for number in range(moved.partitions[1]):
        lines = f", {moved.states[number]:,} lines" if number in moved.states else ""
        output.line(f"  {moved.to}/{number}: {moved.into[number]:,} records{lines}")
    if moved.misplaced:
        output.line(
            f"  {moved.misplaced:,} lay in another partition than that of their key: refused, and so they will be again"
        )
    return 0


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_bootstrap(parser)
    parser.add_argument(
        "--partitions", type=int, metavar="N", help="of the events topic (default: TAKTWIN_PARTITIONS, else 4)"
    )
    parser.add_argument("--replication", type=int, metavar="N", help="replicas (default: TAKTWIN_REPLICATION, else 1)")
    add_json(parser)


def _settings(args: argparse.Namespace) -> "Settings":
    from streams.settings import Settings

    return Settings.from_env(bootstrap=args.bootstrap, partitions=args.partitions, replication=args.replication)


def plan(args: argparse.Namespace) -> int:
    import asyncio

    from streams.kafka.topics import admin_client
    from streams.kafka.topics import plan as make_plan

    settings = _settings(args)

    async def planned() -> "list[Change]":
        async with admin_client(settings) as admin:
            return await make_plan(admin, settings)

    changes = asyncio.run(planned())
    _show(changes, args.json, "nothing to change")
    return 1 if changes else 0


def apply(args: argparse.Namespace) -> int:
    import asyncio

    from streams.kafka.topics import ensure

    _show(asyncio.run(ensure(_settings(args))), args.json, "nothing to change: every topic is as it should be")
    return 0


def _show(changes: "list[Change]", as_json: bool, nothing: str) -> None:
    from streams.cli import output

    if as_json:
        output.as_json([{"kind": c.kind, "topic": c.topic, "detail": c.detail} for c in changes])
    else:
        for text in [str(change) for change in changes] or [nothing]:
            output.line(text)
