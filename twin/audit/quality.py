"""What an audit root says against its own figures: what was refused, and the alerts of data quality."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from twin.alert_kinds import DATA_QUALITY
from twin.audit import models
from twin.audit.read import open_set
from twin.events.reasons import REASONS


def findings(root: Path | str) -> list[str]:
    """A sentence each, with count, first place and what to do. Raises AuditError."""
    told = _alerts(root)
    # After a day an alert says so as well.
    unheard = [one for one in _never_heard(root) if not any(a.startswith(one[: one.index(",")]) for a in told)]
    return [*told, *unheard, *_refused(root)]


def _alerts(root: Path | str) -> list[str]:
    """Of every subject the newest alert, which has the highest count."""
    columns = ["line", "station", "ts", "since", "value", "detail", "subject", "retracted"]
    table = open_set(root, "alerts").to_table(columns=columns, filter=pc.field("kind") == DATA_QUALITY)
    newest: dict[tuple[str, str | None, str], tuple[float, datetime, str | None]] = {}
    for row in table.sort_by("ts").to_pylist():
        subject = row["line"], row["station"], row["detail"] or ""
        if row["retracted"]:
            newest.pop(subject, None)
            continue
        count, first = row["value"] or 1.0, row["since"] or row["ts"]
        known = newest.get(subject, (count, first, None))
        newest[subject] = max(count, known[0]), min(first, known[1]), row["subject"]
    return [_sentence(*of, *counted) for of, counted in newest.items()]


def _sentence(line: str, station: str | None, detail: str, count: float, first: datetime, subject: str | None) -> str:
    place = line if station is None else f"{line}/{station}"
    times = f"{count:g} s" if subject == "skew" else "" if count == 1 else f"{int(count):,} times or more"
    return f"{place}: {detail} ({', '.join(filter(None, (times, 'first')))} at {first.strftime('%Y-%m-%dT%H:%M:%SZ')})"


def _never_heard(root: Path | str) -> list[str]:
    """Stations of the plant models here of which no event tells, on lines that were heard."""
    heard: set[tuple[str, str | None]] = set()
    for batch in open_set(root, "events").to_batches(columns=["line", "station"]):
        pairs = pa.Table.from_batches([batch]).group_by(["line", "station"]).aggregate([]).to_pylist()
        heard |= {(pair["line"], pair["station"]) for pair in pairs}
    lines = {line for line, _ in heard}
    plants = [models.load(root, digest) for digest in models.stored(Path(root))]
    stations = {(line.id, station.id): None for plant in plants for line in plant.lines for station in line.stations}
    return [
        f"{line}/{station}: never heard of, so it is unknown all the time; check how its source names it, or take it "
        "out of the plant file"
        for line, station in stations
        if line in lines and (line, station) not in heard
    ]


def _refused(root: Path | str) -> list[str]:
    columns = ["reason", "detail", "line", "source_topic", "source_partition", "source_offset"]
    table = open_set(root, "rejected").to_table(columns=columns)
    found: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row in table.sort_by([("source_partition", "ascending"), ("source_offset", "ascending")]).to_pylist():
        found.setdefault((row["reason"], row["line"] or "no line"), []).append(row)
    return [
        f"{line}: {len(rows):,} refused as {reason}, first at {rows[0]['source_topic']}/{rows[0]['source_partition']} "
        f"offset {rows[0]['source_offset']}: {rows[0]['detail']}{_advice(reason)}"
        for (reason, line), rows in sorted(found.items())
    ]


def _advice(reason: str) -> str:
    """What to do, where this version knows the reason."""
    known = {str(name): one for name, one in REASONS.items()}.get(reason)
    return "" if known is None else f"; {known.plain_advice}"
