"""Good parts lost, by cause: the account under the headline.

The line's time is that of its constraint, so only the constraint's losses are parts that the line lost. A wait is
charged to the station that stood (`twin.report.causes`); lost speed and parts that are not good are rows of their own.
All rows together are the good parts lost, and the steps of the waterfall, to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from kernels.codes import CLASS_NAMES, N_CLASSES
from twin.audit.rows import integers
from twin.report.causes import WAITS, Lanes
from twin.report.losses import clipped
from twin.report.rows import Row, dicts, select
from twin.report.said import lasting, reason_said
from twin.report.svg import GROUP, cut, frame, label
from twin.report.words import minutes_of, number, word

if TYPE_CHECKING:
    from twin.report.build import Sheet

MOST_DRAWN: Final = 10
GREATEST: Final = 3
_STOPS: Final = ("minor_stop", "down")
_BACK_NS: Final = 36 * 3_600 * 10**9  # a state that goes on has an event that is no older, or no name
Key = tuple[str | None, str, str | None]


def lost(sheet: Sheet) -> list[dict[str, Any]]:
    """By parts, the most first. `station` None: of the line as a whole; `goes_on`: not ended when rows did."""
    total = sheet.figures(None)
    steps = {one.id: one.ns for one in total.waterfall() if one.kind in ("availability", "performance", "quality")}
    found: dict[Key, int] = {}
    rest = dict(steps)
    lanes = Lanes(sheet.line, sheet.states)
    for start, end, constraint in _constraints(sheet):
        for row in sheet.states:
            if row["station"] == constraint and row["class"] in rest:
                rest[row["class"]] -= clipped(row, start, end)
                _charge(found, lanes, row, start, end)
    going = {one["station"]: one for one in _going_on(sheet)}
    lanes, now, goes_on = Lanes(sheet.line, [*sheet.states, *going.values()]), sheet.constraint(), set[Key]()
    for name, ns in rest.items():
        if name in ("speed", "quality"):
            found[None, name, None] = ns
        elif ns:  # states have a row once they have ended
            goes_on |= _rest(found, lanes, going.get(str(now)), name, now, ns)
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


def _charge(found: dict[Key, int], lanes: Lanes, row: Row, start: int, end: int) -> None:
    if row["class"] in WAITS:
        for one in lanes.charges(row, start, end):
            _add(found, one.cause or row, one.end_ns - one.start_ns)
    else:
        _add(found, row, clipped(row, start, end))


def _add(found: dict[Key, int], row: Row, ns: int) -> None:
    key = row["station"], row["class"], row["reason"]
    found[key] = found.get(key, 0) + ns


def _rest(found: dict[Key, int], lanes: Lanes, going: Row | None, name: str, now: str | None, ns: int) -> set[Key]:
    """Time of a class beyond the rows of states: of the state that goes on, where it is of this class."""
    made: dict[Key, int] = {}
    like = going is not None and (going["class"] == name or {going["class"], name} == set(_STOPS))
    if going is not None and like and ns > 0:
        _charge(made, lanes, {**going, "class": name, "start": int(going["end"]) - ns}, 0, int(going["end"]))
    if (left := ns - sum(made.values())) != 0:
        made[now, name, None] = made.get((now, name, None), 0) + left
    for key, some in made.items():
        found[key] = found.get(key, 0) + some
    return set(made) if like else set()


def _going_on(sheet: Sheet) -> list[Row]:
    """Of each station the state that has no row yet, as its newest event and what people said of it have it. It gives
    names to time, and no time of its own."""
    rows, laid = sheet.rows_of(None), sheet.cover_of(None)
    if not laid.rows or not sheet.missing(None)[1]:
        return []
    until = int(integers(rows.column("end").take(pa.array(laid.rows, pa.int64()))).max())
    ends = {one.id: sheet.span.start_ns for one in sheet.line.stations}
    for row in sheet.states:
        ends[row["station"]] = max(ends.get(row["station"], 0), int(row["end"]))
    wanted = pc.field("type").isin(["state", "correction"])
    begin = max(0, min(ends.values()) - _BACK_NS)
    told = dicts(select(sheet.root, "events", begin, until, line=sheet.line.id, where=wanted))
    found = []
    for station in sheet.line.stations:
        undone = {one["corrects"] for one in told if one["station"] == station.id and one["verb"] == "undo"}
        mine = [one for one in told if one["station"] == station.id and str(one["ts"]) not in undone]
        states = [one for one in mine if one["type"] == "state"]
        if not states:
            continue
        newest = max(states, key=lambda one: (int(one["ts"]), one["source_offset"]))
        said = [one for one in mine if one["corrects"] == str(newest["ts"]) and one["verb"] != "undo"]
        reason = next((one["reason"] for one in said[::-1] if one["reason"] is not None), newest["reason"])
        state = next((one["state"] for one in said[::-1] if one["state"] is not None), newest["state"])
        code = station.states.get(state, 0)
        klass = CLASS_NAMES[code] if code < N_CLASSES else "down"  # minor stop or down: the rows say which
        begin = max(ends[station.id], int(newest["ts"]))
        found.append({"station": station.id, "class": klass, "reason": reason, "start": begin, "end": until})
    return found


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
