"""The stops of a station as an operator sees them: what stands now, what stood, which parts it has, until when each
can be corrected; and the reasons there are to give."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc

from streams.page.live import Live
from streams.page.tiles import Tiles
from twin.plant.model import Line
from twin.report import ReportError
from twin.report.rows import MOST_NS, Row, dicts, select
from twin.report.said import labels_of, reason_said
from twin.report.spans import Site, local, shift_at
from twin.report.words import LANGUAGES
from twin.time.rfc3339 import rfc3339

STOPPED: Final = ("minor_stop", "down")
RENAMED: Final = ("maintenance", "planned_stop")  # by the class of a reason
STANDS: Final = ("stopped", *STOPPED)  # of a live view
BUTTONS: Final = 6
BUTTONS_NS: Final = 30 * 86_400 * 10**9
LIST_NS: Final = 36 * 3_600 * 10**9
MOST_STOPS: Final = 50
_DAYS: Final = (("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"), ("So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"))
_VIEW_NS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Now:
    """Where a line stands (ns of event time), and since when its station has been in a state (None: not known)."""

    newest_ns: int
    state: str
    since_ns: int | None


def now_of(live: Live, tiles: Tiles, line: str, station: str, newest_ns: int) -> Now:
    """Of a station: its state and since when; the instant of its newest row where no view has told."""
    tile = tiles.tile(line) or {"stations": []}
    one = next((one for one in tile["stations"] if one["station"] == station), None)
    seen, so_far = live.lines.get(line), tiles.so_far.get(line)
    since = so_far.since_ns.get(station) if so_far else None
    # A row ends to the nanosecond, a view tells a moment later: the row's end is what is meant where both tell of one.
    if seen is not None and (since is None or seen.since_ns.get(station, 0) > since + _VIEW_NS):
        since = seen.since_ns.get(station, since)
    return Now(newest_ns, one["state"] if one else "not_live", since)


def settles_ns(line: Line, ts_ns: int) -> int | None:
    """Line time until which what was at `ts_ns` can be corrected. None: never."""
    return None if line.revise_ns is None else ts_ns + line.lateness_ns + line.revise_ns


def whole(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of states of one station, put together to stops: those that follow each other without running between."""
    found: list[list[Row]] = []
    for row in sorted(rows, key=lambda one: int(one["start"])):
        # What people called maintenance, say, was a stop, and can be called something else.
        renamed = row["class"] in RENAMED and row["revision"] and row["reason"] is not None
        if row["class"] not in STOPPED and not renamed:
            continue
        if found and found[-1][-1]["end"] == row["start"]:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def weekday(name: str, ns: int, language: str, form: str = "%H:%M") -> str:
    """Day of the week and time of day on the wall clock of a zone."""
    day = int(local(name, ns, "%w"))
    return f"{_DAYS[LANGUAGES.index(language)][day]} {local(name, ns, form)}"


def stops(root: Path, line: Line, station: str, now: Now, language: str = "en") -> dict[str, Any]:
    """Plain values, the newest first. Raises AuditError, ReportError."""
    if station not in [one.id for one in line.stations]:
        known = ", ".join(one.id for one in line.stations)
        raise ReportError(f"line {line.id}: there is no station {station!r}; its stations: {known}")
    begin = max(0, now.newest_ns - LIST_NS)
    rows = dicts(select(root, "states", begin, line=line.id, where=pc.field("station") == station))
    made = [_stop(line, one, now, language) for one in whole(rows)]
    if now.state in STANDS and now.since_ns is not None:
        last = made[-1] if made else None
        if last and last["end"] == rfc3339(now.since_ns):  # another part of it has begun
            made.pop()
            parts = [*last["parts"], _part(now.since_ns, None, _said(root, line, station, now))]
            made.append({**last, "end": None, "ns": None, "class": "stopped", "parts": parts})
        else:
            at = _part(now.since_ns, None, _said(root, line, station, now))
            made.append(
                {
                    **at,
                    "start_local": weekday(line.calendar.zone, now.since_ns, language),
                    "class": "stopped",
                    "parts": [at],
                    **_until(line, now.since_ns, now, language),
                }
            )
    asked = [one for one in made if one["class"] != "minor_stop"]
    bare = [one for one in asked if any(part["reason"] is None for part in one["parts"])]
    return {
        "stops": asked[::-1][:MOST_STOPS],
        "without_reason": len(bare),
        "without_reason_ns": sum(one["ns"] or 0 for one in bare),
        "bundles": _bundles(line, [one for one in made if one["class"] == "minor_stop"], language),
    }


def reported(root: Path, line: Line, station: str, begin_ns: int, end_ns: int = MOST_NS) -> list[Row]:
    """Audited states of a station and corrections, in the order in which they came, without what was undone."""
    wanted = (pc.field("station") == station) & pc.field("type").isin(["state", "correction"])
    rows = dicts(select(root, "events", max(0, begin_ns), end_ns, line=line.id, where=wanted))
    rows.sort(key=lambda row: (row["source_offset"], row["source_index"]))
    undone = {row["corrects"] for row in rows if row["verb"] == "undo"}
    return [row for row in rows if str(row["ts"]) not in undone and row["verb"] != "undo"]


def _said(root: Path, line: Line, station: str, now: Now) -> str | None:
    """The reason of a stop that goes on, which has no row yet: that of its newest event, or what people said of it."""
    rows = reported(root, line, station, (now.since_ns or 0) - LIST_NS)
    states = [row for row in rows if row["type"] == "state"]
    if not states:
        return None
    newest = max(states, key=lambda row: (int(row["ts"]), row["source_offset"]))
    said = [row["reason"] for row in rows if row["corrects"] == str(newest["ts"]) and row["reason"] is not None]
    reason = said[-1] if said else newest["reason"]
    return None if reason is None else str(reason)


def _part(start_ns: int, end_ns: int | None, reason: str | None = None) -> dict[str, Any]:
    return {
        "start": rfc3339(start_ns),
        "start_ms": start_ns // 10**6,
        "end": None if end_ns is None else rfc3339(end_ns),
        "ns": None if end_ns is None else end_ns - start_ns,
        "reason": reason,
    }


def _until(line: Line, start_ns: int, now: Now, language: str) -> dict[str, Any]:
    until = settles_ns(line, start_ns)
    return {
        "until": None if until is None else rfc3339(until),
        "until_local": None if until is None else weekday(line.calendar.zone, until, language),
        "correctable": until is not None and until >= now.newest_ns,
    }


def _stop(line: Line, rows: list[Row], now: Now, language: str) -> dict[str, Any]:
    start, end = int(rows[0]["start"]), int(rows[-1]["end"])
    parts = [_part(int(row["start"]), int(row["end"]), row["reason"]) for row in rows]
    klass = "minor_stop" if all(row["class"] == "minor_stop" for row in rows) else "down"
    return {
        **_part(start, end, rows[0]["reason"]),
        "start_local": weekday(line.calendar.zone, start, language),
        "end_local": local(line.calendar.zone, end, "%H:%M"),
        "class": klass,
        "revision": max(row["revision"] for row in rows),
        "parts": parts,
        # That of its beginning: the whole stop is one thing, and no part of it is left behind.
        **_until(line, start, now, language),
    }


def _bundles(line: Line, minor: Sequence[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """Minor stops without a reason, by the clock hour in which they begin: nobody is asked for each."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in minor:
        if one["parts"][0]["reason"] is None and one["correctable"]:
            found.setdefault(weekday(line.calendar.zone, one["start_ms"] * 10**6, language, "%H:00"), []).append(one)
    bundles = [
        {
            "hour": hour,
            "count": len(some),
            "ns": sum(one["ns"] or 0 for one in some),
            "until_local": some[0]["until_local"],
            "stops": [{"start": one["start"], "end": one["end"]} for one in some],
        }
        for hour, some in found.items()
    ]
    return bundles[::-1][:12]


def reasons(root: Path, site: Site, line: Line, station: str, newest_ns: int, language: str) -> dict[str, Any]:
    """`buttons`: those that most time was lost to in the 30 days before this shift, so that they stay for the shift;
    `all`: every one there is; `labels`: by id, those that are retired or of other stations, too. Without reasons in the
    plant file: those that the machine has given."""
    begun = shift_at(line, newest_ns).start_ns
    rows = dicts(select(root, "states", begun - BUTTONS_NS, begun, line=line.id, where=pc.field("station") == station))
    lost: dict[str, int] = {}
    for row in rows:
        if row["reason"] is not None and row["class"] in STOPPED:
            lost[row["reason"]] = lost.get(row["reason"], 0) + int(row["end"]) - int(row["start"])
    day = (datetime.datetime.fromtimestamp(newest_ns // 10**9, datetime.UTC)).date().isoformat()
    given = site.reasons(line.id, station, day)
    labels = labels_of(site.plant(line.id).reasons)
    uppers = {one.parent for one in given if one.parent}
    if site.plant(line.id).reasons:
        every = [
            {
                "id": one.id,
                "label": reason_said(one.id, labels, language),
                "parent": one.parent,
                "upper": one.id in uppers,
            }
            for one in given
        ]
    else:
        every = [{"id": one, "label": one, "parent": None, "upper": False} for one in sorted(lost)]
    can = [one for one in every if not one["upper"]]
    can.sort(key=lambda one: -lost.get(str(one["id"]), 0))  # of those alike the order of the plant file
    said = {name: reason_said(name, labels, language) for name in labels}
    return {"buttons": can[:BUTTONS], "all": every, "labels": said}
