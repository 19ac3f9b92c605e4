"""Which stretch of time is meant: a shift, production day, ISO week, order, or two instants; and its clock hours."""

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.compute as pc

from twin.audit import models
from twin.audit.layout import existing_root
from twin.audit.read import keys_of, listed
from twin.audit.rows import integers
from twin.plant.calendar import NO_SHIFT, shift_number, table
from twin.plant.model import Line, Plant, Reason, Target
from twin.report import ReportError
from twin.report.parts import Interval, merged
from twin.report.rows import select
from twin.time.rfc3339 import parse_rfc3339, rfc3339
from twin.time.zone import to_utc_s, zone

NS: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * NS
_SHIFT: Final = re.compile(r"(\d{4}-\d\d-\d\d) (.+)", re.ASCII)
_WEEK: Final = re.compile(r"(\d{4})-W(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end) in ns since 1970 UTC. kind: shift, day, week, order or span; `label` names it among its kind.

    `pauses`: where an order was put aside, and others were made; no part of it.
    """

    kind: str
    label: str
    start_ns: int
    end_ns: int
    pauses: tuple[Interval, ...] = ()

    @property
    def parts(self) -> tuple[Interval, ...]:
        edges = [self.start_ns, *(edge for pause in self.pauses for edge in pause), self.end_ns]
        return tuple(zip(edges[::2], edges[1::2], strict=True))


@dataclass(frozen=True, slots=True)
class Site:
    """The newest plant model of every line in a root."""

    site: str
    lines: dict[str, tuple[Line, str]]  # line id -> line, hash of its plant
    plants: dict[str, Plant] = field(default_factory=dict)  # by their hashes

    def line(self, name: str) -> Line:
        """Raises ReportError."""
        if name not in self.lines:
            known = ", ".join(sorted(self.lines)) or "none"
            raise ReportError(f"there is no line {name!r} in this audit root; its lines: {known}")
        return self.lines[name][0]

    def plant(self, line: str) -> Plant:
        """Raises ReportError."""
        self.line(line)
        return self.plants[self.lines[line][1]]

    def target(self, line: str) -> Target:
        """What the line is held against; nothing where the plant file names nothing."""
        found = (one for one in self.plant(line).targets if one.line == line)
        return next(found, Target(line))

    def reasons(self, line: str, station: str, date: str) -> tuple[Reason, ...]:
        """What operators may give there on an ISO date."""
        every = self.plant(line).reasons
        here = (one for one in every if not one.stations or station in one.stations)
        return tuple(one for one in here if one.retired is None or date < one.retired)


def site_of(root: Path | str) -> Site:
    """Raises AuditError, also where nothing is published yet."""
    base = existing_root(root)
    found = listed(base)
    hashes: list[str] = []
    for partition in found.partitions:  # of the newest rows of each partition
        digest = keys_of(found.of(partition)[-1]).get("model", "")
        hashes += [digest] if digest and digest not in hashes else []
    plants: list[Plant] = [models.load(base, digest) for digest in hashes]
    lines: dict[str, tuple[Line, str]] = {}
    for plant in plants:
        for line in plant.lines:
            lines.setdefault(line.id, (line, plant.hash))
    return Site(plants[0].site if plants else "", lines, {plant.hash: plant for plant in plants})


def day_of(line: Line, day: datetime.date) -> Span:
    """The production day of a local date."""
    start, end = _day_limits(line, day), _day_limits(line, day + datetime.timedelta(days=1))
    return Span("day", day.isoformat(), start, end)


def _day_limits(line: Line, day: datetime.date) -> int:
    local = (day.toordinal() - datetime.date(1970, 1, 1).toordinal()) * 86_400 + line.calendar.day_start_s
    return int(to_utc_s(line.calendar.zone, np.array([local], np.int64))[0]) * NS


def week_of(line: Line, label: str) -> Span:
    """An ISO week such as 2026-W13, from its Monday's production day on. Raises ReportError."""
    match = _WEEK.fullmatch(label)
    try:
        monday = datetime.date.fromisocalendar(int(match[1]), int(match[2]), 1) if match else None
    except ValueError:
        monday = None
    if monday is None:
        raise ReportError(f"{label!r} is not a week: write it as 2026-W13")
    return Span("week", label, _day_limits(line, monday), _day_limits(line, monday + datetime.timedelta(days=7)))


def week_before(line: Line, label: str, weeks: int) -> Span:
    """The week so many weeks before a week. Raises ReportError."""
    year, week = label.split("-W")
    monday = datetime.date.fromisocalendar(int(year), int(week), 1) - datetime.timedelta(weeks=weeks)
    return week_of(line, f"{monday.isocalendar().year}-W{monday.isocalendar().week:02d}")


def shift_of(line: Line, label: str) -> Span:
    """A shift by its local date and id, such as "2026-03-28 night". Raises ReportError."""
    match = _SHIFT.fullmatch(label)
    names = [shift.id for shift in line.calendar.shifts]
    day = _date(match[1]) if match else None
    if match is None or day is None or match[2] not in names:
        known = f"its shifts are {', '.join(names)}" if names else "it has no shifts in the plant file"
        raise ReportError(f"line {line.id}: {label!r} is not one of its shifts (2026-03-28 NAME); {known}")
    number = shift_number(line.calendar, names.index(match[2]), day)
    near = _day_limits(line, day)
    calendar = table(line.calendar, near - 2 * _DAY_NS, near + 4 * _DAY_NS)
    mine = np.flatnonzero(calendar.shift == number)
    if not mine.size:
        raise ReportError(f"line {line.id}: there is no shift {match[2]} on {match[1]}")
    return Span("shift", label, int(calendar.ts[mine[0]]), int(calendar.ts[mine[-1] + 1]))


def shift_at(line: Line, at_ns: int) -> Span:
    """The shift at an instant; where the line has none then, the production day."""
    calendar = table(line.calendar, at_ns - _DAY_NS, at_ns + 3 * _DAY_NS)
    row = calendar.row(at_ns)
    if int(calendar.shift[row]) != NO_SHIFT:
        mine = np.flatnonzero(calendar.shift == calendar.shift[row])
        name = calendar.shift_name(int(calendar.shift[row]))
        return Span("shift", str(name), int(calendar.ts[mine[0]]), int(calendar.ts[mine[-1] + 1]))
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=int(calendar.day[row]))
    return day_of(line, day)


def order_of(root: Path | str, line: Line, order: str, as_of_ns: int | None = None) -> Span:
    """From the first start to the last end of an order's rows. Raises ReportError where it has none yet."""
    chosen = (pc.field("window") == "order") & (pc.field("order") == order)
    every = select(root, "kpis", line=line.id, where=chosen, as_of_ns=as_of_ns)
    rows = every.filter(pc.is_null(every.column("station")))
    if every.num_rows and not rows.num_rows:
        stations = ", ".join(sorted({str(name) for name in every.column("station").to_pylist()}))
        raise ReportError(
            f"line {line.id}: order {order!r} is one of {stations}, not of the line, and reports are of lines; its "
            "rows are those of the set kpis with window 'order'"
        )
    if not rows.num_rows:
        raise ReportError(f"line {line.id}: no order {order!r} has ended; an order that goes on has no row yet")
    parts = merged(zip(*(integers(rows.column(name)).tolist() for name in ("start", "end")), strict=True))
    pauses = tuple((before[1], after[0]) for before, after in pairwise(parts))
    return Span("order", order, parts[0][0], parts[-1][1], pauses)


def between(start: str, end: str) -> Span:
    """Two instants, RFC 3339. Raises ReportError."""
    try:
        first, last = parse_rfc3339(start), parse_rfc3339(end)
    except ValueError as error:
        raise ReportError(f"{start} to {end}: {error}") from error
    if first >= last:
        raise ReportError(f"{start} to {end}: ends before it begins")
    return Span("span", f"{rfc3339(first)}/{rfc3339(last)}", first, last)


def span_of(root: Path | str, line: Line, kind: str, value: str, as_of_ns: int | None = None) -> Span:
    """The span that a word of the command line or of an address means. Raises ReportError."""
    if kind == "shift":
        return shift_of(line, value)
    if kind == "week":
        return week_of(line, value)
    if kind == "order":
        return order_of(root, line, value, as_of_ns)
    if kind == "span":
        start, _, end = value.partition("/")
        return between(start, end)
    day = _date(value)
    if kind != "day" or day is None:
        raise ReportError(f"{value!r} is not a date: write it as 2026-03-28")
    return day_of(line, day)


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def hours(line: Line, span: Span) -> Iterator[tuple[int, int]]:
    """The clock hours of a span, in the line's zone, cut at its shifts' edges."""
    calendar = table(line.calendar, span.start_ns, span.end_ns)
    edges = {
        int(ts)
        for ts, shift, before in zip(calendar.ts[1:], calendar.shift[1:], calendar.shift[:-1], strict=True)
        if shift != before
    }
    at = span.start_ns
    while at < span.end_ns:
        following = min(_next_hour(line.calendar.zone, at), span.end_ns)
        following = min([following, *(edge for edge in edges if at < edge < following)])
        yield at, following
        at = following


def _next_hour(name: str, at_ns: int) -> int:
    instant = datetime.datetime.fromtimestamp(at_ns // NS, datetime.UTC).astimezone(zone(name))
    offset = instant.utcoffset()
    assert offset is not None
    offset_ns = int(offset.total_seconds()) * NS
    hour = 3_600 * NS
    return (at_ns + offset_ns) // hour * hour + hour - offset_ns


def local(name: str, at_ns: int, form: str = "%Y-%m-%d %H:%M") -> str:
    """An instant on the wall clock of a zone."""
    return datetime.datetime.fromtimestamp(at_ns // NS, datetime.UTC).astimezone(zone(name)).strftime(form)
