"""What a tile says of a line: the shift so far out of audited rows, the state out of the live view."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from kernels.codes import RUNNING
from streams import clock
from streams.client.records import Alert
from streams.client.records import Line as View
from streams.page.live import Live
from twin.audit.read import one_listing
from twin.audit.rows import integers
from twin.line.numbers import ideal_ns
from twin.plant.model import Line, Target
from twin.report.causes import WAITS, Lanes
from twin.report.cover import cover
from twin.report.figures import Figures
from twin.report.plan import Plan, done_at, plan_of
from twin.report.plan import rolling as windows_of
from twin.report.rows import select
from twin.report.said import alert_said
from twin.report.spans import Site, Span, local, shift_at, site_of
from twin.report.words import LANGUAGES, number
from twin.time.rfc3339 import parse_rfc3339, rfc3339

_MINUTE_NS: Final = 60 * 10**9
_HOUR_NS: Final = 60 * _MINUTE_NS
# A pace of less than this says little about when an order will be done.
_PACE_NS: Final = 1_800 * 10**9
_BEHIND_NS: Final = 600 * 10**9
# A line that runs for so long counts parts, or its counter is not heard.
_COUNTLESS_NS: Final = 600 * 10**9
# A shift or a production day, and one window more.
_BACK_NS: Final = 26 * _HOUR_NS
# Time that nobody wanted to produce in: folded at the end of the plant's list.
CALM: Final = ("off_shift", "planned_stop", "no_order")


@dataclass(frozen=True, slots=True)
class SoFar:
    """Of a line: the shift (or production day) of its newest row, and what rows say of it."""

    line: Line
    span: Span
    figures: Figures
    gap_ns: int
    newest_ns: int
    lost_per_hour: Fraction | None  # of the newest rolling row
    ideal_per_hour: Fraction | None
    constraint: str | None
    plan: Plan
    target: Target
    paces: tuple[tuple[int, int], ...] = ()  # (good, planned ns) of the shift so far and of the newest windows
    since_ns: dict[str, int] = field(default_factory=dict)  # per station: the end of its newest row of states
    nothing_counted: bool = False  # it ran for long in the longest window, and no part was counted


class Tiles:
    """Made anew by `load`, in a thread, now and then; `tile` puts the live view over it."""

    def __init__(self, root: Path, live: Live) -> None:
        self._root, self.live = root, live
        self.site = Site("", {})
        self.so_far: dict[str, SoFar] = {}
        self._searched: set[str] = set()  # lines without a row of the last days that were looked for in all

    def load(self) -> None:
        """Read what is new. Raises AuditError."""
        with one_listing():
            self._load()

    def _load(self) -> None:
        site = site_of(self._root)
        found: dict[str, SoFar] = {}
        newest = self._newest(site)
        for start, lines in _groups(newest):
            rows = select(self._root, "kpis", start, where=pc.field("station").is_null())
            states = select(self._root, "states", start).select(["line", "station", "end"])
            for name in lines & site.lines.keys():
                one = _so_far(site.line(name), rows, states, newest[name], site.target(name))
                if one is not None:
                    found[name] = one
        self.site, self.so_far = site, found

    def _newest(self, site: Site) -> dict[str, int]:
        """Per line the end of its newest row; no more is read than is near to what is known."""
        known = {name: one.newest_ns for name, one in self.so_far.items()}
        start = max(known.values()) - _HOUR_NS if known else clock.now_ns() - 2 * _BACK_NS
        newest = known | _ends(self._root, start)
        # Lines of other days: logs of the past beside each other, or a line that has not run for long (once).
        live = {name: seen.view.ts_ns for name, seen in [*self.live.lines.items()] if name in site.lines}
        behind = {
            name: known.get(name, ts - _BACK_NS) for name, ts in live.items() if ts > newest.get(name, 0) + _BEHIND_NS
        }
        if behind:
            newest |= _ends(self._root, min(behind.values()) - _HOUR_NS, behind.keys())
        missing = site.lines.keys() - newest.keys() - self._searched
        if missing:
            newest |= _ends(self._root, 0, missing)
            self._searched |= missing
        return newest

    def names(self) -> list[str]:
        return sorted({*self.site.lines, *self.live.lines})

    def tile(self, name: str) -> dict[str, Any] | None:
        """Plain values; texts of numbers are rounded here and nowhere else. None: there is no such line."""
        seen, so_far = self.live.lines.get(name), self.so_far.get(name)
        if seen is None and name not in self.site.lines:
            return None
        known = self.site.lines.get(name)
        view = None if seen is None else seen.view
        made: dict[str, Any] = {
            "line": name,
            "area": known[0].area if known else "",
            "zone": known[0].calendar.zone if known else None,  # None: nothing is read of the audit yet
            "state": view.state if view else "not_live",
            "live": view is not None,
            "provisional": True,
            "order": view.order if view else None,
            "bottleneck": view.bottleneck if view else None,
            "verdict": view.verdict if view else None,
            "as_of_ms": view.ts_ns // 10**6 if view else (so_far.newest_ns // 10**6 if so_far else None),
            "heard_ms": seen.heard_ns // 10**6 if seen else None,
            "late": view.late if view else 0,
            "alerts": [_alert(one) for one in self.live.alerts.values() if one.line == name],
            "stations": self._stations(name),
            "since_ms": None,
            "shift": None,
        }
        if so_far is not None:
            made["shift"] = _shift(so_far)
            station = so_far.constraint
            mine = next((one for one in made["stations"] if one["station"] == station), None)
            made["since_ms"] = mine["since_ms"] if mine else None
        made |= _cause(known[0] if known else None, made, so_far)
        made |= _order(view, so_far)
        made["lost_per_hour"] = _lost(made["state"], so_far)
        # Who has stood for less than a minor stop may is judged by the newest window, like one that runs: it would
        # stand before a line that has been lost for hours.
        short = made["state"] != "down" and _is_short(so_far, made["since_ms"], made["as_of_ms"])
        made["urgency"] = _lost("running", so_far) if short and made["state"] not in CALM else made["lost_per_hour"]
        made["lost_text"] = None if made["lost_per_hour"] is None else number(made["lost_per_hour"], 0, "en")
        made["calm"] = made["state"] in CALM
        made["nothing_counted"] = made["state"] == "running" and so_far is not None and so_far.nothing_counted
        return made

    def _stations(self, name: str) -> list[dict[str, Any]]:
        seen, so_far = self.live.lines.get(name), self.so_far.get(name)
        found = []
        for station, state in (seen.view.stations if seen else {}).items():
            since = seen.since_ns.get(station) if seen else None
            if since is None and so_far is not None:
                since = so_far.since_ns.get(station)
            found.append({"station": station, "state": state, "since_ms": None if since is None else since // 10**6})
        return found


def _alert(one: Alert) -> dict[str, Any]:
    kept = {name: getattr(one, name) for name in ("kind", "action", "station", "value", "limit", "detail", "subject")}
    said = {language: alert_said(kept, language) for language in LANGUAGES}
    return {**kept, "ts": rfc3339(one.ts_ns), "said": said}


def _cause(line: Line | None, made: dict[str, Any], so_far: SoFar | None) -> dict[str, str | None]:
    """Of a line that waits the station that stands, over the buffers (`twin.report.causes`)."""
    none: dict[str, str | None] = {"cause_station": None, "cause_state": None}
    if line is None or so_far is None or made["state"] not in WAITS:
        return none
    known = {one["station"]: one["state"] for one in made["stations"]}
    rows = [
        {"station": name, "class": "down" if state == "stopped" else state, "start": 0, "end": 1}
        for name, state in known.items()
    ]
    victim = next((row for row in rows if row["station"] == so_far.constraint), None)
    if victim is None or victim["class"] not in WAITS:
        return none
    cause = Lanes(line, rows).charges(victim, 0, 1)[0].cause
    return none if cause is None else {"cause_station": cause["station"], "cause_state": known[cause["station"]]}


def _lost(state: str, so_far: SoFar | None) -> float | None:
    """Good parts lost per hour now: all of them where the line stands. None: not known."""
    if state in CALM:
        return 0.0
    if so_far is None:
        return None
    lost = so_far.lost_per_hour if state in ("running", "not_live") else so_far.ideal_per_hour
    return None if lost is None else float(lost)


def _is_short(so_far: SoFar | None, since_ms: int | None, as_of_ms: int | None) -> bool:
    """Whether the line has stood for less than a minor stop may."""
    if so_far is None or since_ms is None or as_of_ms is None:
        return False
    station = next((one for one in so_far.line.stations if one.id == so_far.constraint), None)
    if station is None:
        return False
    return (as_of_ms - since_ms) * 10**6 < station.minor_stop_ns


def _order(view: View | None, one: SoFar | None) -> dict[str, Any]:
    """When the line's order is done: at the pace of the shift so far, and of the shortest and longest window."""
    none = {"order_end_ms": None, "order_late_ns": None, "order_rest": None}
    open_orders = view.orders if view else ()
    mine = next((order for order in open_orders if order.station is None), None)
    if mine is None or mine.quantity is None or one is None or view is None:
        return none
    rest = mine.quantity - mine.good
    ends = [done_at(one.line, rest, good, ns, view.ts_ns) for good, ns in one.paces]
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends):  # at one of the paces it is never done
        return {**none, "order_rest": rest}
    due = None if mine.due is None else parse_rfc3339(mine.due)
    late = None if due is None else known[0] - due
    return {
        "order_end_ms": [ns // 10**6 for ns in (known[0], min(known), max(known))],  # likely, and the range
        "order_late_ns": late if late is not None and late >= _MINUTE_NS else None,
        "order_rest": rest,
    }


def _shift(one: SoFar) -> dict[str, Any]:
    figures = one.figures
    good = figures.good
    difference = None if one.plan.parts is None else good - one.plan.parts
    minutes = None if difference is None else one.plan.minutes(difference)
    ratios, lost = figures.ratios(), figures.lost_parts
    ideal = figures.parts_in(figures.planned_ns)
    oee = ratios["oee"]
    return {
        "kind": one.span.kind,
        "label": one.span.label,
        "start": rfc3339(one.span.start_ns),
        "end_ms": one.span.end_ns // 10**6,
        "end_local": local(one.line.calendar.zone, one.span.end_ns, "%H:%M"),
        "plan_text": None if one.plan.parts is None else number(one.plan.parts, 0, "en"),
        "plan": None if one.plan.parts is None else float(one.plan.parts),
        "diff": None if difference is None else float(difference),
        "diff_text": None if difference is None else f"{'+' if difference >= 0 else ''}{number(difference, 0, 'en')}",
        "diff_ns": None if minutes is None else round(abs(minutes) * _MINUTE_NS),
        "behind": difference is not None and difference < 0,
        "target_oee": one.target.oee,
        "target_text": None if one.target.oee is None else number(100 * one.target.oee, 0, "en"),
        "known_until": rfc3339(one.newest_ns),
        "good": figures.good,
        "good_text": number(figures.good, 0, "en"),
        "lost_text": None if lost is None else number(lost, 0, "en"),
        "ideal_text": None if ideal is None else number(ideal, 0, "en"),
        **ratios,
        "oee_text": None if oee is None else number(100 * float(oee), 0, "en"),
        "planned_ns": figures.planned_ns,
        "no_ideal": figures.no_ideal,
        "unknown_ns": figures.unknown_ns + one.gap_ns,
        "constraint": one.constraint,
    }


def _ends(root: Path, start_ns: int, lines: Collection[str] | None = None) -> dict[str, int]:
    """Per line (None: any) the end of its newest row, of those that end after an instant."""
    wanted = pc.field("station").is_null()
    if lines is not None:
        wanted &= pc.field("line").isin(sorted(lines))
    rows = select(root, "kpis", max(start_ns, 0), where=wanted).select(["line", "end"])
    return _newest_ends(rows, "line")


def _newest_ends(rows: pa.Table, column: str) -> dict[str, int]:
    """Of each text in a column the newest end of its rows."""
    found: dict[str, int] = {}
    for name, end in zip(map(str, rows.column(column).to_pylist()), integers(rows.column("end")).tolist(), strict=True):
        found[name] = max(found.get(name, 0), end)
    return found


def _groups(newest: dict[str, int]) -> Iterable[tuple[int, set[str]]]:
    """Lines whose shifts can be read together: those that are at about the same time."""
    left = sorted(newest, key=lambda name: newest[name], reverse=True)
    while left:
        last = newest[left[0]]
        mine = {name for name in left if newest[name] > last - _HOUR_NS}
        yield min(newest[name] for name in mine) - _BACK_NS, mine
        left = [name for name in left if name not in mine]


def _so_far(line: Line, rows: pa.Table, states: pa.Table, newest_ns: int, target: Target) -> SoFar | None:
    rolling = windows_of(rows.filter(pc.equal(rows.column("line").cast(pa.string()), pa.scalar(line.id))))
    if not rolling.num_rows:
        return None
    # The instant before the row's end: at the edge of a shift the one that ends is meant.
    span = shift_at(line, newest_ns - 1)
    laid = cover(rolling, span.start_ns, newest_ns)
    plus, minus = (rolling.take(pa.array(some, pa.int64())) for some in (laid.rows, laid.minus))
    newest = rolling.filter(pa.array(integers(rolling.column("end")) == newest_ns))
    lengths = integers(newest.column("end")) - integers(newest.column("start"))
    last = newest.slice(int(lengths.argmax()), 1)
    said = last.select(["constraint", "product"]).to_pylist()[0]
    ideal = _ideal(line, said["constraint"], said["product"])
    now = Figures.of(last, last.slice(0, 0), line.policy, ideal)
    lost, hour = now.lost_parts, now.parts_in(_HOUR_NS)
    ends = states.filter(pc.equal(states.column("line").cast(pa.string()), pa.scalar(line.id)))
    so_far = Figures.of(plus, minus, line.policy, ideal)
    each = [Figures.of(newest.slice(k, 1), newest.slice(0, 0), line.policy) for k in range(newest.num_rows)]
    return SoFar(
        line,
        span,
        so_far,
        laid.gap_ns,
        newest_ns,
        None if lost is None or not now.ns else lost * Fraction(_HOUR_NS, now.ns),
        hour,
        said["constraint"],
        plan_of(line, target, rolling, span.start_ns, newest_ns),
        target,
        tuple((one.good, one.planned_ns) for one in (so_far, *each) if one.planned_ns >= _PACE_NS),
        _newest_ends(ends, "station"),
        not now.made and now.vector[RUNNING] >= _COUNTLESS_NS,
    )


def _ideal(line: Line, station: str | None, product: str | None) -> int:
    found = next((one for one in line.stations if one.id == station), None)
    if found is None:
        return 0
    products = [one.id for one in line.products]
    return ideal_ns(line, found)[products.index(product) + 1 if product in products else 0]
