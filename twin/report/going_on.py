"""States that have no row yet, because they have not ended: what is known of them when rows are read."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc

from kernels.codes import CLASS_NAMES, N_CLASSES
from twin.audit.rows import integers
from twin.report.rows import Row, dicts, select

if TYPE_CHECKING:
    from twin.plant.model import Station
    from twin.report.build import Sheet

OPEN: Final = "open"  # of a row of states: it has not ended, and ends here where rows of kpis do
# So far before a state that goes on its event is looked for, and so far behind what is known what people say of it.
_BACK_NS: Final = (36 * 3_600 * 10**9, 40 * 86_400 * 10**9)
_AHEAD_NS: Final = 36 * 3_600 * 10**9
# Whose time nobody gives a reason for: no event is looked for.
BARE: Final = ("running", "unknown", "off_shift", "planned_stop", "no_order")


def going_on(sheet: Sheet) -> list[Row]:
    """Of each station the state that goes on. Its class and time are what its rows of kpis know beyond those of states;
    its reason is that of its newest event, and what people said of it."""
    ends: dict[str, int] = {}
    for row in sheet.states:
        ends[row["station"]] = max(ends.get(row["station"], 0), int(row["end"]))
    beyond = [_beyond(sheet, one, ends.get(one.id, 0)) for one in sheet.line.stations]
    found = [row for row in beyond if row is not None]
    if any(row["class"] not in BARE for row in found):
        _name(sheet, found)
    return found


def _beyond(sheet: Sheet, station: Station, last_ns: int) -> Row | None:
    """The time of a station in kpis that no row of states has; one class, as rows of all earlier ones have ended."""
    rows, laid = sheet.rows_of(station.id), sheet.cover_of(station.id)
    last_ns = max(last_ns, sheet.span.start_ns)
    ends = integers(rows.column("end"))
    until = min(sheet.span.end_ns, max((int(ends[k]) for k in laid.rows), default=0))
    if last_ns >= until:
        return None
    vector = sheet.figures(station.id).vector
    rest = dict(zip(CLASS_NAMES[:N_CLASSES], vector[:N_CLASSES], strict=True))
    for row in sheet.states:
        if row["station"] == station.id:
            rest[row["class"]] -= _common(row, sheet.span.start_ns, until)
            rest[row["class"]] += sum(_common(row, a, min(b, until)) for a, b in laid.gaps)
    klass = max(rest, key=lambda name: rest[name])
    if rest[klass] <= 0:
        return None
    gaps = sum(max(0, min(b, until) - max(a, last_ns)) for a, b in laid.gaps)
    begin = max(last_ns, until - rest[klass] - gaps)  # later than the last row where the station was not known before
    nothing: Row = dict.fromkeys(("state", "reason", "order", "product", "revised"))
    about = {"station": station.id, "class": klass, "start": begin, "end": until, "revision": 0, OPEN: True}
    return {**nothing, **about}


def _common(row: Row, start_ns: int, end_ns: int) -> int:
    return max(0, min(int(row["end"]), end_ns) - max(int(row["start"]), start_ns))


def _name(sheet: Sheet, rows: list[Row]) -> None:
    """State and reason by the newest event before the end of what is known."""
    first, last = min(row["start"] for row in rows), max(row["end"] for row in rows) + _AHEAD_NS
    last = last if sheet.as_of_ns is None else min(last, sheet.as_of_ns)
    wanted = pc.field("type").isin(["state", "correction"])
    for back in _BACK_NS:
        told = dicts(select(sheet.root, "events", max(0, first - back), last, line=sheet.line.id, where=wanted))
        for row in rows:
            row |= _said([one for one in told if one["station"] == row["station"]], row["end"])
        if all(row["state"] is not None or row["class"] in BARE for row in rows):
            return


def _said(told: list[Row], until_ns: int) -> dict[str, Any]:
    undone = {one["corrects"] for one in told if one["verb"] == "undo"}
    mine = sorted(
        (one for one in told if str(one["ts"]) not in undone), key=lambda one: (int(one["ts"]), one["source_offset"])
    )
    states = [one for one in mine if one["type"] == "state"]
    known = [one for one in states if one["ts"] < until_ns]
    if not known:
        return {}
    newest = known[-1]
    said = [one for one in mine if one["corrects"] == str(newest["ts"]) and one["verb"] != "undo"]
    # The first reason that is given holds for all of a stop, also one that came after what is known.
    like = takewhile(lambda one: one["state"] == newest["state"], states[len(known) - 1 :])
    reasons = [*(one["reason"] for one in said[::-1]), *(one["reason"] for one in like)]
    return {
        "state": next((one["state"] for one in said[::-1] if one["state"] is not None), newest["state"]),
        "reason": next((one for one in reasons if one is not None), None),
    }
