"""Good parts lost, by cause: the account under the headline.

The line's time is that of its constraint, so only the constraint's losses are parts that the line lost. A wait is
charged to the station that stood (`twin.report.causes`); lost speed and parts that are not good are rows of their own.
All rows together are the good parts lost, and the steps of the waterfall, to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from twin.audit.rows import integers
from twin.report.causes import WAITS, Lanes
from twin.report.going_on import OPEN
from twin.report.losses import clipped
from twin.report.rows import Row
from twin.report.said import lasting, reason_said
from twin.report.svg import GROUP, cut, frame, label
from twin.report.words import minutes_of, number, word

if TYPE_CHECKING:
    from twin.report.build import Sheet

MOST_DRAWN: Final = 10
GREATEST: Final = 3
_STOPS: Final = ("minor_stop", "down")
Key = tuple[str | None, str, str | None]


def lost(sheet: Sheet) -> list[dict[str, Any]]:
    """By parts, the most first. `station` None: of the line as a whole; `goes_on`: not ended when rows did."""
    total = sheet.figures(None)
    steps = {one.id: one.ns for one in total.waterfall() if one.kind in ("availability", "performance", "quality")}
    found: dict[Key, int] = {}
    rest, goes_on = dict(steps), set[Key]()
    lanes = Lanes(sheet.line, sheet.seen)
    for start, end, constraint in _constraints(sheet):
        for row in sheet.seen:
            if row["station"] == constraint and row["class"] in rest:
                rest[row["class"]] -= clipped(row, start, end)
                goes_on |= _charge(found, lanes, row, start, end)
    for name, ns in rest.items():
        if name in ("speed", "quality"):
            found[None, name, None] = ns
        elif ns:  # of no state that is known
            key = sheet.constraint(), name, None
            found[key] = found.get(key, 0) + ns
    order = sorted(found.items(), key=lambda one: (-one[1], str(one[0])))
    known = total.lost_parts
    return [
        {
            "station": station,
            "class": klass,
            "reason": reason,
            "parts": None if (parts := total.parts_in(ns)) is None else float(parts),
            "share": None if not known or parts is None else float(parts / known),
            "ns": ns,
            "goes_on": (station, klass, reason) in goes_on,
        }
        for (station, klass, reason), ns in order
        if ns
    ]


def _constraints(sheet: Sheet) -> list[tuple[int, int, str]]:
    """[start, end) and the station whose figures were the line's, of the rows that make the span."""
    table, laid = sheet.rows_of(None), sheet.cover_of(None)
    starts, ends = integers(table.column("start")), integers(table.column("end"))
    names = table.column("constraint").to_pylist()
    less = sorted((int(starts[k]), int(ends[k])) for k in laid.minus)
    made: list[tuple[int, int, str]] = []

    def add(start: int, end: int, name: str) -> None:
        if made and made[-1][1:] == (start, name):
            made[-1] = made[-1][0], end, name
        elif start < end:
            made.append((start, end, name))

    for k in sorted(laid.rows, key=lambda k: int(starts[k])):
        at, end = int(starts[k]), int(ends[k])
        for a, b in less:
            if at <= a and b <= end:
                add(at, a, str(names[k]))
                at = b
        add(at, end, str(names[k]))
    return made


def _charge(found: dict[Key, int], lanes: Lanes, row: Row, start: int, end: int) -> set[Key]:
    """Those of them that go on."""
    charged = [(row, clipped(row, start, end))]
    if row["class"] in WAITS:
        charged = [(one.cause or row, one.end_ns - one.start_ns) for one in lanes.charges(row, start, end)]
    goes_on = set[Key]()
    for cause, ns in charged:
        key = cause["station"], cause["class"], cause["reason"]
        found[key] = found.get(key, 0) + ns
        if ns and cause.get(OPEN):
            goes_on.add(key)
    return goes_on


def cause_said(one: dict[str, Any], report: dict[str, Any], language: str) -> str:
    """ "oven: Jam", "mixer: setup", "lost speed"."""
    if one["station"] is None:
        return word(one["class"], language)
    bare = "no_reason" if one["class"] in _STOPS else one["class"]
    return f"{one['station']}: {reason_said(one['reason'], report['labels'], language) or word(bare, language)}"


def greatest(report: dict[str, Any], language: str) -> list[str]:
    """The three biggest in a line each: parts, whose they are, what kind of time, how long."""
    found = []
    for one in report["lost"][:GREATEST]:
        if not one["parts"] or one["parts"] < 0:
            continue
        said = cause_said(one, report, language)
        kind = word(one["class"], language)
        more = [lasting(one["ns"], language), *([word("goes_on", language)] if one["goes_on"] else [])]
        named = said if said.endswith(kind) else f"{said} ({kind})"
        found.append(f"{number(one['parts'], 0, language)} {word('parts', language)} – {named}, {', '.join(more)}")
    return found


def draw(report: dict[str, Any], language: str) -> str:
    """A bar each, as long as it cost parts."""
    rows: Sequence[dict[str, Any]] = [one for one in report["lost"] if one["ns"] > 0][:MOST_DRAWN]
    longest = max((one["ns"] for one in rows), default=1)
    body = []
    for k, one in enumerate(rows):
        y, parts = 4 + 28 * k, one["parts"]
        body.append(label(0, y + 16, cut(cause_said(one, report, language), 48)))
        kind = f'class="c-{GROUP[one["class"]]}" data-ns="{one["ns"]}"'
        body.append(f'<rect {kind} x="360" y="{y}" width="{320 * one["ns"] / longest:.3f}" height="21"/>')
        body.append(label(700, y + 16, word(one["class"], language), soft=True))
        body.append(label(1000, y + 16, f"{minutes_of(one['ns'], language)} min", anchor="end", soft=True))
        if parts is not None:
            body.append(label(905, y + 16, f"{number(parts, 0, language)} {word('parts', language)}", anchor="end"))
    return frame(28 * len(rows) + 6, word("lost", language), body)
