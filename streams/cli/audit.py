"""`twin audit`: what lies in an audit root."""

import argparse
import decimal
from typing import TYPE_CHECKING, Any, Final

from streams.cli import proof
from streams.cli.parser import add_json, command, group

if TYPE_CHECKING:
    from streams.cli.parser import Commands

_MANY_FILES: Final = 100
_MOST_WHOLE: Final = 1e15  # of larger numbers the digits are no longer exact


def add(commands: "Commands") -> None:
    audit = group(commands, "audit", help="list, query and compare audited Parquet", example="twin audit ls audit")

    parser = command(audit, "ls", ls, help="list the sets of an audit root", example="twin audit ls audit")
    _add_root(parser)
    add_json(parser)

    parser = command(
        audit,
        "files",
        files,
        help="print the files that are published: what other readers should read",
        example="twin audit files audit --set kpis",
        more="One path a line. Who lists the folders instead may see files that a worker is just publishing.\n"
        "Rows that wait for a file are in none (see twin audit ls).",
    )
    _add_root(parser)
    parser.add_argument("--set", metavar="SET", dest="set_name", help="only this set's")
    parser.add_argument("--sql", action="store_true", help="as a list for DuckDB's read_parquet([...])")
    add_json(parser)

    parser = command(
        audit,
        "copy",
        copy,
        help="copy an audit root out of object storage into a folder",
        example="twin audit copy s3://plant/audit audit",
        more="All that is listed, as a root that every other command takes. Nothing is taken on trust: check the copy\n"
        "with twin audit verify.",
    )
    parser.add_argument("root", metavar="URL", help="s3://BUCKET/PREFIX")
    parser.add_argument("folder", metavar="FOLDER", help="a new or empty folder")

    parser = command(
        audit,
        "query",
        query,
        help="run one SQL statement over the sets, with DuckDB",
        example='twin audit query audit "SELECT line, count(*) FROM kpis GROUP BY line"',
        more="Each set (events, states, kpis, bottlenecks, alerts, rejected, measures, samples) is a view. None is "
        "changed.\n"
        "Where rows were revised, a view shows the newest; SET_revisions shows all of them.\n"
        "Views people ask for: stops, pareto, oee_by_shift, orders, changeovers, defects, usage.",
    )
    _add_root(parser)
    parser.add_argument("sql", metavar="SQL", help="one SELECT")
    parser.add_argument(
        "--as-of", metavar="TIME", type=proof.instant, help="what was believed at this event time (RFC 3339)"
    )
    add_json(parser)

    parser = command(
        audit,
        "digest",
        digest,
        help="print one hash per set over its rows",
        example="twin audit digest audit-live --against audit-replay",
        more="Rows are taken in canonical order, without the fields that name where a row came from: the same log\n"
        "gives the same hashes, live or replayed, on one worker or eight.",
    )
    _add_root(parser)
    parser.add_argument(
        "--against", metavar="FOLDER", help="compare with another audit root; exit code 1 if they differ"
    )
    add_json(parser)

    parser = command(
        audit,
        "prune",
        prune,
        help="take away the oldest days of an audit root, and say so in it",
        example="twin audit prune audit --keep 400d",
        more="Whole intervals from the front, as long as all their rows are older, and only up to a base, so that\n"
        "what stays can be computed again. verify says then what was pruned, by whom and when. May be repeated\n"
        "after a kill; workers may be at work.",
    )
    _add_root(parser)
    parser.add_argument(
        "--keep", metavar="DAYS", type=_days, required=True, help="days to keep until now, such as 400d"
    )
    parser.add_argument("--by", metavar="NAME", default="twin audit prune", help="who answers for it; kept in the root")
    parser.add_argument(
        "--state", metavar="FOLDER", help="state folder of the workers, if it is not _state in the root"
    )
    parser.add_argument(
        "--without-base", action="store_true", help="also where nothing that stays can be computed again"
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would go")
    add_json(parser)

    parser = command(
        audit,
        "compact",
        compact,
        help="merge many small files of a day into few",
        example="twin audit compact audit --before 2026-03-01",
        more="For roots written by versions that made a file for each commit. Only neighbours of one day and kind;\n"
        "rows, digest and chain stay what they were, and the list says which files the new ones stand for. May be\n"
        "repeated after a kill; workers may be at work, readers of the folders may not.",
    )
    _add_root(parser)
    parser.add_argument("--before", metavar="DATE", type=_date, help="only files of earlier UTC dates (default: today)")
    parser.add_argument(
        "--state", metavar="FOLDER", help="state folder of the workers, if it is not _state in the root"
    )
    parser.add_argument(
        "--by", metavar="NAME", default="twin audit compact", help="who answers for it; kept in the root"
    )
    add_json(parser)

    proof.add(audit)


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", metavar="FOLDER", help="audit root")


def ls(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from streams.cli.output import as_json, columns
    from streams.cli.roots import readable
    from streams.tools.watch import moment
    from twin.audit.read import ls as listings

    with readable(args.root) as root:
        found = listings(root)
    if args.json:
        as_json({name: asdict(listing) for name, listing in found.items()})
        return 0
    rows = [
        (
            name,
            listing.files,
            f"{listing.rows:,}",
            f"{listing.bytes:,}",
            moment(listing.first_ns),
            moment(listing.last_ns),
            " ".join(map(str, listing.partitions)),
            " ".join(listing.models),
        )
        for name, listing in found.items()
    ]
    columns(("set", "files", "rows", "bytes", "first (UTC)", "last (UTC)", "partitions", "model"), rows)
    return 0


def copy(args: argparse.Namespace) -> int:
    from pathlib import Path

    from streams.cli.errors import USAGE, CommandError
    from streams.cli.output import line
    from twin import store
    from twin.audit import fetch, layout
    from twin.audit.read import published_files

    if not store.is_url(args.root):
        raise CommandError(f"{args.root}: is a folder already; copy names a root as s3://BUCKET/PREFIX", USAGE)
    folder = Path(args.folder)
    if folder.exists() and any(folder.iterdir()):
        raise CommandError(f"{folder}: is not empty; name a new folder", USAGE)
    folder.mkdir(parents=True, exist_ok=True)
    source = store.opened(args.root)
    fetch.copy(source, folder)
    fetch.copy_state(source, folder, layout.STATE)
    line(f"{args.folder}: {len(published_files(folder)):,} files")
    return 0


def files(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from streams.cli.errors import USAGE, CommandError
    from streams.cli.output import as_json, line
    from twin.audit import left_out
    from twin.audit.read import published_files
    from twin.store import is_url

    if is_url(args.root):
        raise CommandError(
            f"{args.root}: its files are objects whose names say no day and no set: copy the root into a folder "
            "(twin audit copy) and read that",
            USAGE,
        )
    found = published_files(args.root, args.set_name)
    # First, as other readers take the columns from the first file: those that no file has are null to them then.
    paths = [str(path) for path in left_out.columns_files_of(args.root, found)] + [str(file.path) for file in found]
    if args.json:
        as_json([asdict(file) | {"path": str(file.path)} for file in found])
    elif args.sql:
        line(", ".join("'" + path.replace("'", "''") + "'" for path in paths))
    else:
        for path in paths:
            line(path)
    return 0


def _days(text: str) -> int:
    from twin.time.duration import UNITS_NS, duration_ns

    try:
        days, rest = divmod(duration_ns(text), UNITS_NS["d"])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if rest or not days:
        raise argparse.ArgumentTypeError(f"{text}: write whole days, such as 400d")
    return days


def _date(text: str) -> str:
    import datetime

    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: write a date, such as 2026-03-01") from None


def compact(args: argparse.Namespace) -> int:
    import datetime
    from dataclasses import asdict

    from streams import clock
    from streams.cli.output import as_json, line
    from streams.cli.roots import needed
    from twin import store
    from twin.audit import compact as compacting
    from twin.audit import store_compact

    now = datetime.datetime.fromtimestamp(clock.now_ns() // 10**9, datetime.UTC)
    keep_from = needed(args.root, args.state)
    at, before = now.isoformat().replace("+00:00", "Z"), args.before or str(now.date())
    if store.is_url(args.root):
        done = store_compact.run(store.opened(args.root), before, by=args.by, at=at, keep_from=keep_from)
    else:
        done = compacting.compact(args.root, before, by=args.by, at=at, keep_from=keep_from)
    if args.json:
        as_json([asdict(one) for one in done])
        return 0
    for one in done:
        told = f"partition {one.partition}: {one.files:,} files, {one.bytes:,} bytes"
        if one.files:
            told += f", {one.first_date} to {one.last_date}, merged into {one.into:,}, {one.into_bytes:,} bytes"
        line(told)
    return 0


def prune(args: argparse.Namespace) -> int:
    import datetime
    from dataclasses import asdict

    from streams import clock
    from streams.cli.output import as_json, line
    from streams.cli.roots import needed
    from twin import store
    from twin.audit import prune as pruning
    from twin.audit import store_prune

    now = datetime.datetime.fromtimestamp(clock.now_ns() // 10**9, datetime.UTC)
    before = str(now.date() - datetime.timedelta(days=args.keep))
    at = now.isoformat().replace("+00:00", "Z")
    how: Any = {"without_base": args.without_base, "keep_from": needed(args.root, args.state)}
    who = {} if args.dry_run else {"by": args.by, "at": at}
    if store.is_url(args.root):
        run = store_prune.plan if args.dry_run else store_prune.prune
        cuts = run(store.opened(args.root), before, **how, **who)
    else:
        there = pruning.plan if args.dry_run else pruning.prune
        cuts = there(args.root, before, **how, **who)
    if args.json:
        as_json([asdict(cut) for cut in cuts])
        return 0
    for cut in cuts:
        told = f"partition {cut.partition}: {cut.files:,} files, {cut.bytes:,} bytes"
        if cut.files:
            told += f", {cut.first_date} to {cut.last_date}, up to offset {cut.offset}"
        line(told + (f"; {cut.left}" if cut.left else ""))
    return 0


def query(args: argparse.Namespace) -> int:
    from streams.cli.output import as_json, columns, note
    from streams.cli.roots import readable
    from twin.audit.query import Reading
    from twin.audit.query import query as run_query

    notes, reading = list[str](), Reading()
    with readable(args.root) as root:
        table = _readable_times(run_query(root, args.sql, as_of_ns=args.as_of, notes=notes, reading=reading))
        words = _words(root, args.root)
    if reading.published > reading.opened or reading.published > _MANY_FILES:
        notes.append(
            f"{reading.opened:,} of {reading.published:,} files were opened"
            + ("; a condition on `date` leaves files out" if reading.opened > _MANY_FILES else "")
        )
    for sentence in [*notes, *words]:
        note(f"twin: {sentence}")
    if args.json:
        as_json([{key: _plain(value) for key, value in row.items()} for row in table.to_pylist()])
        return 0
    columns(table.column_names, [[_text(value) for value in row.values()] for row in table.to_pylist()])
    return 0


def _words(root: str, name: str) -> list[str]:
    """What is missing in a root by what its replay says of itself; `name`: as it was asked for."""
    from twin.audit import layout, replayed

    return [sentence.replace(root, name) for sentence in replayed.words(layout.existing_root(root))]


def digest(args: argparse.Namespace) -> int:
    from contextlib import ExitStack
    from dataclasses import asdict

    from streams.cli.output import as_json, line, note
    from streams.cli.roots import readable
    from twin.audit.digest import digest as digests
    from twin.audit.digest import oldest_version

    with ExitStack() as stack:
        names = [root for root in (args.root, args.against) if root]
        roots = [stack.enter_context(readable(name)) for name in names]
        # Roots that several versions wrote are compared in the columns that all of their rows have.
        version = min(map(oldest_version, roots))
        for sentence in [one for root, name in zip(roots, names, strict=True) for one in _words(root, name)]:
            note(f"twin: {sentence}")
        found, other = digests(roots[0], version), digests(roots[-1], version) if args.against else {}
    differing = [name for name in found if args.against and found[name] != other[name]]
    if args.json:
        result: dict[str, Any] = {name: asdict(value) for name, value in found.items()}
        as_json({"sets": result, "differ": differing} if args.against else result)
    else:
        for name, value in found.items():
            beside = ""
            if args.against:
                beside = f"  DIFFERS: {other[name].rows:,} rows there" if name in differing else "  same"
            line(f"{value.sha256}  {name} ({value.rows:,} rows){beside}")
    return 1 if differing else 0


def _readable_times(table: Any) -> Any:
    """Instants as text, to the nanosecond: Python's own type for them ends at microseconds."""
    import pyarrow as pa

    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.string()))
    return table


def _interval(value: object) -> str | None:
    """A length of time as DuckDB writes it (`7 days 03:30:00`); None: the value is none."""
    if not isinstance(value, tuple) or len(value) != 3:  # months, days, ns: pyarrow's interval
        return None
    months, days, ns = value
    at, sign = divmod(abs(ns), 10**9), "-" if ns < 0 else ""
    clock = f"{sign}{at[0] // 3600:02}:{at[0] // 60 % 60:02}:{at[0] % 60:02}" + f".{at[1]:09}".rstrip("0").rstrip(".")
    named = [f"{count} {name}{'s' * (abs(count) != 1)}" for count, name in ((months, "month"), (days, "day")) if count]
    return " ".join([*named, clock] if ns or not named else named)


def _plain(value: object) -> object:
    """A cell for JSON: numbers and text stay, NaN and infinity become null, all else becomes text.

    What DuckDB's `sum` makes of whole numbers (128 bits, a decimal without places here) is a whole number, too.
    """
    if isinstance(value, decimal.Decimal) and value == value.to_integral_value() and value.as_tuple().exponent == 0:
        return int(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if (length := _interval(value)) is not None:
        return length
    return value if value is None or isinstance(value, bool | int | str | list | dict) else str(value)


def _text(value: object) -> str:
    if isinstance(value, float):
        # Six digits are enough of a share; seconds since 1970 and minutes of a year are told whole.
        whole = len(str(int(abs(value)))) if abs(value) < _MOST_WHOLE else 14  # NaN and infinity, too
        return f"{value:.{max(6, whole + 3)}g}"
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return _interval(value) or ("" if value is None else str(value))
