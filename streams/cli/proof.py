"""`twin audit verify`, `recompute` and `export`: the proof, and a copy of it for somebody else."""

import argparse
import re
from typing import TYPE_CHECKING, Any, Final

from streams.cli.parser import add_bootstrap, add_json, command

if TYPE_CHECKING:
    from pathlib import Path

    from streams.cli.parser import Commands
    from twin.audit.claims import Claim
    from twin.audit.report import Difference, Report

_TAIL: Final = re.compile(r"(\d{1,10}):([0-9a-f]{64})")


def add(audit: "Commands") -> None:
    parser = command(
        audit,
        "verify",
        verify,
        help="check that an audit root or export is as it was written",
        example="twin audit verify audit",
        more="Chain of hashes, page checksums, footers, offsets without a gap, sums, order, plant models, snapshots.\n"
        "Prints the end of each partition's chain: note it elsewhere, and give it to a later check as --tail.",
    )
    _add_root(parser)
    parser.add_argument(
        "--tail",
        metavar="PARTITION:SHA256",
        action="append",
        type=_tail,
        default=[],
        help="an end that was noted: the chain must still hold it; of every partition (may be repeated)",
    )
    parser.add_argument(
        "--against-topic",
        action="store_true",
        help="compare with what the workers said outside the root (topic twin.chain; settings as a worker's)",
    )
    add_bootstrap(parser)
    parser.add_argument(
        "--state", metavar="FOLDER", help="state folder of the workers, if it is not _state in the root"
    )
    _add_all(parser)

    parser = command(
        audit,
        "note",
        note,
        help="print the end of each partition's chain, to be noted elsewhere",
        example="twin audit note audit > /other/system/ends.txt",
        more="As verify --tail takes them; all of one day together. They say what is there, not whether it is sound.",
    )
    parser.add_argument("root", metavar="FOLDER", help="audit root")
    add_json(parser)

    parser = command(
        audit,
        "recompute",
        recompute,
        help="compute every row again from the stored events and compare",
        example="twin audit recompute audit",
        more="Cell by cell, floats bit by bit. Nothing but the audit root (or export) is read.",
    )
    _add_root(parser)
    parser.add_argument("--line", metavar="LINE", help="only the rows of this line")
    parser.add_argument(
        "--from",
        dest="start",
        metavar="TIME",
        type=instant,
        help="RFC 3339: only what holds rows of this time on, computed from the nearest base",
    )
    parser.add_argument("--to", dest="end", metavar="TIME", type=instant, help="RFC 3339, not included")
    _add_all(parser)

    parser = command(
        audit,
        "export",
        export,
        help="write a self-contained proof for one line and period",
        example="twin audit export audit --line press-1 --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z "
        "--out press-1.zip",
        more="It is an audit root by itself: verify and recompute take it, anywhere. It holds whole files, so also\n"
        "what they say of other lines of the same partition.",
    )
    parser.add_argument("root", metavar="FOLDER", help="audit root")
    parser.add_argument("--line", metavar="LINE", required=True, help="line id")
    parser.add_argument("--from", dest="start", metavar="TIME", type=instant, required=True, help="RFC 3339, included")
    parser.add_argument("--to", dest="end", metavar="TIME", type=instant, required=True, help="RFC 3339, not included")
    parser.add_argument("--out", metavar="FILE", required=True, help="a new .zip file, or else a new folder")
    parser.add_argument(
        "--whole", action="store_true", help="from the line's first event, not from the last base before the period"
    )
    add_json(parser)


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", metavar="FOLDER", help="audit root, exported folder or exported .zip file")


def _add_all(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="list every difference, not only the first")
    add_json(parser)


def instant(text: str) -> int:
    """An instant as ns since 1970, for argparse."""
    from twin.time.rfc3339 import parse_rfc3339

    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _tail(text: str) -> tuple[int, str]:
    match = _TAIL.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text}: write PARTITION:SHA256, as verify prints it")
    return int(match[1]), match[2]


def verify(args: argparse.Namespace) -> int:
    from pathlib import Path

    from streams.cli.roots import readable, snapshots
    from streams.state.anchors import anchors
    from twin.audit import layout
    from twin.audit.bundle import opened
    from twin.audit.verify import verify as run

    with (
        snapshots(args.state) as state,
        readable(args.root, proof=True, state=state) as root,
        opened(root) as place,
    ):
        # Before the files are looked at: a worker may be at work, and they never fall behind what is said of them.
        claims, strange = _claimed(args, place.root, export=bool(place.starts)) if args.against_topic else (None, [])
        found, damaged = anchors(Path(state) if state else place.root / layout.STATE)
        report = run(
            place.root,
            anchors=[*place.anchors, *found],
            tails={partition: [end for number, end in args.tail if number == partition] for partition, _ in args.tail},
            starts=place.starts,
            claims=claims,
            every=args.all,
        )
    report.checked["snapshots"] += len(damaged)
    report.differences += [*damaged, *strange]
    return _told(report, args)


def _claimed(
    args: argparse.Namespace, root: "Path", *, export: bool
) -> "tuple[dict[int, list[Claim]], list[Difference]]":
    """Partition -> what the topic says of it; and what shows that it speaks of another root."""
    import asyncio

    from streams.cli.errors import USAGE, CommandError
    from streams.settings import Settings
    from streams.tools import chain

    if export:
        raise CommandError("--against-topic is for a whole root; of an export compare the noted ends (--tail)", USAGE)
    settings = Settings.from_env(bootstrap=args.bootstrap)
    told = asyncio.run(chain.read(settings))
    return told, chain.strange(settings, root, told)


def note(args: argparse.Namespace) -> int:
    from streams.cli import output
    from streams.cli.roots import readable
    from twin.audit import layout
    from twin.audit.compactcheck import ends

    with readable(args.root) as root:
        found = ends(layout.existing_root(root))
    if args.json:
        names = ("partition", "next_offset", "sha256")
        output.as_json([dict(zip(names, one, strict=True)) for one in found])
        return 0
    for partition, _, sha256 in found:
        output.line(f"{partition}:{sha256}")
    return 0


def recompute(args: argparse.Namespace) -> int:
    from streams.cli.roots import readable
    from twin.audit.bundle import opened
    from twin.audit.recompute import recompute as run

    with readable(args.root) as root, opened(root) as place:
        report = run(place.root, line=args.line, every=args.all, period=_period(args.start, args.end))
    return _told(report, args)


def _period(start: int | None, end: int | None) -> tuple[int, int] | None:
    if start is None and end is None:
        return None
    return (0 if start is None else start), ((1 << 63) - 1 if end is None else end)


def export(args: argparse.Namespace) -> int:
    from pathlib import Path

    import msgspec

    from streams.cli import output
    from streams.cli.roots import readable
    from twin.audit.export import export as run

    with readable(args.root) as root:
        made = run(root, args.line, args.start, args.end, Path(args.out), whole=args.whole)
    if args.json:
        output.as_json({"files": made.files, "bytes": made.bytes, "manifest": msgspec.to_builtins(made.manifest)})
        return 0
    output.line(f"{args.out}: {made.files:,} files, {made.bytes:,} bytes")
    for one in made.manifest.partitions:
        output.line(f"partition {one.partition}: offsets {one.first_offset} to {one.next_offset}, ends with {one.head}")
    return 0


def _told(report: "Report", args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from streams.cli import output
    from streams.cli.errors import OK, PROBLEM

    shown = report.differences if args.all else report.differences[:1]
    if args.json:
        result: dict[str, Any] = {"sound": report.sound, "checked": dict(report.checked), "notes": report.notes}
        result["heads"] = [asdict(head) for head in report.heads]
        result["differences"] = [asdict(one) for one in shown]
        output.as_json(result)
        return OK if report.sound else PROBLEM
    for what, number in sorted(report.checked.items()):
        output.line(f"{number:>15,}  {what}")
    for head in report.heads:
        by = f"named by {head.proven_by}" if head.proven_by else "named by nothing else"
        behind = f"; rows up to {head.waiting_to} wait for a file" if head.waiting_to else ""
        output.line(f"partition {head.partition} ends at offset {head.next_offset}: {head.sha256} ({by}){behind}")
    for text in report.notes:
        output.line(f"note: {text}")
    for one in shown:
        output.line(f"DIFFERENCE: {one}")
    if report.sound:
        output.line("sound")
    elif not args.all:
        output.line("stopped at the first difference; --all lists every one")
    return OK if report.sound else PROBLEM
