"""`twin replay`: logs to Parquet without a broker, in one process or in shares."""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from streams.cli.logs import add_logs
from streams.cli.parser import add_json, add_plant, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands
    from twin.audit.replayed import Plan
    from twin.plant import SourceRule
    from twin.plant.model import Plant
    from twin.replay_report import ReplayReport
    from twin.sources import Logs, Mapping

_SHARE: Final = re.compile(r"(\d{1,5})/(\d{1,5})", re.ASCII)
_TELL_S: Final = 0.2


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "replay",
        run,
        help="compute logs into an audit root without a broker, as fast as it goes",
        example="twin replay --plant plant.toml press.csv --audit audit",
        more="The same code and the same rows as feed and workers; `twin audit digest` shows that they are.\n"
        "A replay that was interrupted or killed is run again with the same command.",
    )
    add_logs(parser)
    add_plant(parser)
    parser.add_argument("--audit", metavar="ROOT", required=True, help="audit root to write; must be new or empty")
    parser.add_argument("--force", action="store_true", help="remove an earlier replay from that folder first")
    parser.add_argument(
        "--sets", metavar="NAMES", type=_sets, default=(), help="write only these sets, comma between: kpis,states"
    )
    parser.add_argument(
        "--jobs", metavar="N", type=_jobs, default=1, help="in N processes, each with its share of the lines"
    )
    parser.add_argument(
        "--share",
        metavar="I/N",
        type=_share,
        help="only share I (from 0) of N, into a folder that all shares have, or into one of its own",
    )
    parser.add_argument("--tell", action="store_true", help=argparse.SUPPRESS)
    add_json(parser)


def _sets(text: str) -> tuple[str, ...]:
    from twin.plant.problem import hint
    from twin.results import SETS

    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in SETS:
            raise argparse.ArgumentTypeError(f'there is no set "{name}"{hint(name, list(SETS))}')
    return names


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; write 1 to 1000")
    return int(text)


def _share(text: str) -> tuple[int, int]:
    match = _SHARE.fullmatch(text)
    if match is None or not int(match[1]) < int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; of four write 0/4, 1/4, 2/4 or 3/4")
    return int(match[1]), int(match[2])


@dataclass(frozen=True, slots=True)
class _Job:
    """What the command line says, read and checked."""

    args: argparse.Namespace
    plant: "Plant"
    mapping: "Mapping | None"
    rules: "Sequence[SourceRule]"
    plan: "Plan"

    def logs(self, number: int) -> "Logs":
        from streams.kafka.partitioner import choose
        from twin.sources import Share, open_logs

        plan = self.plan
        share = Share(number, plan.shares, lambda key, n: choose(plan.partitioner, key, n)) if plan.shares > 1 else None
        return open_logs(self.args.logs, self.plant, self.mapping, self.rules, share=share)


def run(args: argparse.Namespace) -> int:
    from streams.cli import output
    from streams.cli.errors import USAGE, CommandError
    from streams.cli.roots import local_logs
    from streams.interrupt import interrupts
    from twin.store import is_url

    if args.share and args.jobs > 1:
        raise CommandError("--share is one of the processes that --jobs starts: name one of the two", USAGE)
    if args.share and args.force:
        raise CommandError(
            "--force would remove what other shares have written: remove the folder, or name a new one", USAGE
        )
    with interrupts():
        try:
            with local_logs(args):
                job = _job(args)
                return _to_store(job) if is_url(args.audit) else _here(job)
        except KeyboardInterrupt:
            output.note("twin: interrupted, so the replay is not finished; run the same command again to go on")
            raise


def _here(job: _Job) -> int:
    args = job.args
    if args.jobs > 1:
        return _in_processes(job)
    return _in_one(job, args.share[0] if args.share else 0)


def _to_store(job: _Job) -> int:
    """Into a folder, and from there to object storage; an unfinished replay is begun anew."""
    from streams.cli import output
    from streams.cli.roots import written

    args = job.args
    with written(args.audit, job.plan.data, force=args.force) as folder:
        own = argparse.Namespace(**{**vars(args), "audit": folder, "force": False, "place": args.audit})
        code = _here(replace(job, args=own))
    if not args.json:
        output.line(f"put into {args.audit}")
    return code


def _job(args: argparse.Namespace) -> _Job:
    from streams.settings import Settings
    from twin import plant as plants
    from twin.replay_inputs import plan_for
    from twin.sources import load_mapping

    plant = plants.load(args.plant)
    mapping = load_mapping(args.mapping, plant) if args.mapping else None
    rules = () if mapping else plants.sources(plant.source)
    shares = args.share[1] if args.share else args.jobs
    partitioner = Settings.from_env().partitioner if shares > 1 else ""
    plan = plan_for(
        plant, args.logs, mapping, args.mapping, rules=rules, sets=args.sets, shares=shares, partitioner=partitioner
    )
    return _Job(args, plant, mapping, rules, plan)


def _in_one(job: _Job, number: int) -> int:
    """The whole replay, or one share."""
    from streams.cli import output
    from streams.cli.logs import progress, too_many
    from twin.replay import replay

    args = job.args
    logs = job.logs(number)
    with progress(logs) as shown:
        report = replay(
            job.plant,
            logs,
            args.audit,
            progress=_teller(logs) if args.tell else shown,
            force=args.force,
            plan=job.plan,
            share=number,
            where=args.named,
        )
    if args.tell:
        return 0
    if job.plan.shares == 1:
        _show(args, report)
    else:
        _show(args, report, {"share": {"number": number, "of": job.plan.shares, "missing": _missing(args)}})
        if not args.json:
            left = [f"{one}/{job.plan.shares}" for one in _missing(args)]
            told = f"{args.audit} is whole" if not left else f"not done yet in {args.audit}: {', '.join(left)}"
            if hasattr(args, "place"):
                told = "the others may be there or not: `twin audit digest` says so"
            output.line(f"share {number}/{job.plan.shares}, {_lines(job, number)}, is done; {told}")
    return too_many(args, report.summary, sum(report.refused.values()), report.events)


@dataclass(slots=True)
class _Read:
    """How far all shares have read, on average."""

    size: int
    position: int = 0


def _teller(logs: "Logs") -> Callable[[int], None]:
    """Tells the command that runs the shares how far this one is, now and then."""
    import json
    import sys

    from streams import clock

    last_s = 0.0

    def tell(events: int) -> None:
        nonlocal last_s
        if clock.monotonic_s() - last_s >= _TELL_S:
            last_s = clock.monotonic_s()
            sys.stdout.write(json.dumps([logs.position, events]) + "\n")
            sys.stdout.flush()

    return tell


def _missing(args: argparse.Namespace) -> list[int]:
    from twin.audit import layout, replayed

    return replayed.missing(layout.root_path(args.audit))


def _lines(job: _Job, number: int) -> str:
    from streams.kafka.partitioner import choose

    plan = job.plan
    own = sum(choose(plan.partitioner, line.id.encode(), plan.shares) == number for line in job.plant.lines)
    return f"with {own} of {len(job.plant.lines)} lines"


def _in_processes(job: _Job) -> int:
    import sys

    from streams import clock
    from streams.cli.errors import USAGE, CommandError
    from streams.cli.logs import progress, too_many
    from streams.local import shares
    from twin.audit import layout, replayed
    from twin.replay import make_way
    from twin.replay_report import together

    args, plan = job.args, job.plan
    root = layout.root_path(args.audit)
    begun_s = clock.monotonic_s()
    make_way(root, plan, 0, args.force)
    if not replayed.missing(root):
        raise CommandError(f"{root}: holds this replay, finished; name a new folder, or --force it", USAGE)
    sets = ["--sets", ",".join(args.sets)] if args.sets else []
    mapping = ["--mapping", args.mapping] if args.mapping else []
    own = ["replay", "--plant", args.plant, "--audit", args.audit, *sets, *mapping, "--tell"]
    commands = {
        f"{number}/{plan.shares}": [
            *(sys.executable, "-P", "-m", "streams.cli", *own),
            *("--share", f"{number}/{plan.shares}", "--", *args.logs),
        ]
        for number in replayed.missing(root)
    }
    read = _Read(sum(one.bytes for one in plan.logs))
    with progress(read) as shown:

        def update(position: int, events: int) -> None:
            read.position = position
            shown(events)

        shares.run(commands, update)
    report = together(job.plant, [one.report for one in replayed.done(root)])
    report.seconds = clock.monotonic_s() - begun_s
    _show(args, report, {"jobs": plan.shares})
    return too_many(args, report.summary, sum(report.refused.values()), report.events)


def _show(args: argparse.Namespace, report: "ReplayReport", more: "dict[str, Any] | None" = None) -> None:
    from dataclasses import asdict

    from streams.cli import output
    from streams.cli.roots import shown
    from twin.line.still_open import as_dict, told

    if args.json:
        result = {
            **{name: value for name, value in asdict(report).items() if name not in ("doubtful", "shared")},
            "summary": report.summary.as_dict(),
            "events_per_s": report.events_per_s,
            "waiting": report.waiting,
            "open": [as_dict(one) for one in report.open],
            **(more or {}),
        }
        output.as_json(result)
        return
    output.line(shown(args, report.summary.report()))
    output.line(f"{report.events:,} events in {report.seconds:.1f} s ({report.events_per_s:,.0f} events/s)")
    output.line("events: " + became(report))
    for doubt in report.doubts:
        output.line(f"data quality: {doubt}")
    rows = ", ".join(f"{count:,} {name}" for name, count in report.rows.items())
    output.line(f"rows in {getattr(args, 'place', args.audit)}: {rows}")
    for text in told(report.open):
        output.line(text)


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
