"""One line over one span, whole: what the page shows, the API gives and `twin report` prints. Plain values only.

Instants are RFC 3339 texts, durations integers of ns, ratios floats as the rows have them; null: nothing to say.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twin.alert_kinds import DATA_QUALITY
from twin.audit.read import one_listing
from twin.audit.rows import integers
from twin.audit.views import THROUGH
from twin.line.numbers import ideal_ns
from twin.plant.model import Line, Target
from twin.report import ReportError
from twin.report.causes import chains, charged
from twin.report.cover import SCOPES, Cover, cover
from twin.report.factors import Factors
from twin.report.figures import Figures
from twin.report.flow import flow_of
from twin.report.going_on import BARE, OPEN, going_on
from twin.report.losses import Loss, bottleneck, changeovers, clipped, joined, other_setup, pareto
from twin.report.parts import cut, within
from twin.report.plan import Plan, as_dict, plan_of, rolling
from twin.report.rows import Row, any_row, dicts, select
from twin.report.said import labels_of
from twin.report.sections import SECTIONS
from twin.report.spans import Span, hours, local, site_of, span_of
from twin.time.rfc3339 import parse_rfc3339, rfc3339

# Of one answer, whatever was asked: beyond it `left_out` says how many.
MOST_STATES: Final = 20_000
MOST_LOSSES: Final = 100
MOST_ROWS: Final = 200
# Of the orders before and after a span so much is read: to know what a changeover was from and to.
ORDERS_NS: Final = 40 * 86_400 * 10**9
# So far before a span it is read whether a stop in it has begun there: days, then over the holidays.
_BEFORE_NS: Final = (4 * 86_400 * 10**9, ORDERS_NS)
MOST_BYTES: Final = 400  # of a record that was refused
MOST_SPAN_NS: Final = 400 * 86_400 * 10**9
_NO_REASON: Final = ("down",)


class Sheet:
    """The rows of one line that reach into a span, read once; every figure of it. Raises AuditError, ReportError."""

    def __init__(
        self,
        root: Path | str,
        line: Line,
        span: Span,
        as_of_ns: int | None = None,
        target: Target | None = None,
        factors: Factors | None = None,
    ) -> None:
        if span.end_ns - span.start_ns > MOST_SPAN_NS:
            raise ReportError(f"{span.label}: a span has at most {MOST_SPAN_NS // 86_400 // 10**9} days")
        self.root, self.line, self.span, self.as_of_ns = root, line, span, as_of_ns
        self.target = target or Target(line.id)
        self.factors = factors  # what amounts come to is said where there are some
        at = (span.start_ns, span.end_ns)
        # Rows beside the span bridge gaps in it.
        beside = max((window.length_ns for window in line.windows), default=0) + line.publish_every_ns
        around = (max(span.start_ns - beside, 0), span.end_ns + beside)
        wide = select(root, "kpis", *around, line=line.id, as_of_ns=as_of_ns).unify_dictionaries()
        starts, ends = integers(wide.column("start")), integers(wide.column("end"))
        self.kpis = wide.filter(pa.array((ends > span.start_ns) & (starts < span.end_ns)))
        self._states = dicts(select(root, "states", *at, line=line.id, as_of_ns=as_of_ns))
        self.states = cut(self._states, span.parts)
        self.bottlenecks = dicts(select(root, "bottlenecks", *at, line=line.id, as_of_ns=as_of_ns))
        self.alerts = dicts(select(root, "alerts", *at, line=line.id, as_of_ns=as_of_ns))
        self.refused = dicts(select(root, "rejected", *at, line=line.id, as_of_ns=as_of_ns))
        # Those of stations: a line's order has a row for each of them, too, and a station may have orders of its own.
        orders = (pc.field("window") == "order") & pc.field("station").is_valid()
        around = (max(span.start_ns - ORDERS_NS, 0), span.end_ns + ORDERS_NS)
        self.orders = dicts(select(root, "kpis", *around, line=line.id, where=orders, as_of_ns=as_of_ns))
        # Late events and corrections revise rows until then.
        self.settles_ns = span.end_ns + line.lateness_ns + (line.revise_ns or 0)
        self.gone_on = as_of_ns is None and any_row(root, line.id, self.settles_ns)
        windows = wide.column("window").cast(pa.string())
        # A window's row belongs to any span, that of a shift, day or order to those of its own kind.
        rolling = np.asarray(pc.invert(pc.is_in(windows, pa.array(SCOPES))))
        scope = {"week": "day", "span": ""}.get(span.kind, span.kind)
        own = np.asarray(pc.equal(windows, pa.scalar(scope)))
        chosen = own | rolling
        if span.kind == "order":  # and of it alone: others may lie between its parts
            chosen = own & np.asarray(pc.is_in(wide.column("order").cast(pa.string()), pa.array([span.label])))
        self._chosen = wide.filter(pa.array(chosen))
        self._by: dict[str | None, tuple[pa.Table, Cover]] = {}

    @cached_property
    def seen(self) -> list[Row]:
        """The rows of states, and behind them the states that go on and have none yet, by stops (`joined`)."""
        start = self.span.start_ns
        states = [*self._states, *going_on(self)]
        before = self._before(states)
        ends = {row["station"]: int(row["end"]) for row in sorted(before, key=itemgetter("end"))}
        for row in states:
            if OPEN in row and row["start"] == start:  # began where the row before it ended
                row["start"] = min(start, ends.get(row["station"], start))
        return cut([row for row in joined([*before, *states]) if row["end"] > start], self.span.parts)

    def _before(self, states: Sequence[Row]) -> list[Row]:
        """Rows that end before the span, of stations whose first state in it may go on from there."""
        span, unclear = self.span, set[str]()
        for station, mine in groupby(sorted(states, key=itemgetter("station", "start")), key=itemgetter("station")):
            first = next((row for row in mine if row["class"] not in THROUGH or OPEN in row), None)
            if first is not None and first["start"] >= span.start_ns and first["class"] not in BARE:
                unclear.add(station)
        found: list[Row] = []
        for back in _BEFORE_NS if unclear else ():
            at, where = (max(span.start_ns - back, 0), span.start_ns), pc.field("station").isin(sorted(unclear))
            rows = dicts(select(self.root, "states", *at, line=self.line.id, where=where, as_of_ns=self.as_of_ns))
            found = [row for row in rows if row["end"] <= span.start_ns]
            if {row["station"] for row in found if row["class"] not in THROUGH} >= unclear:
                break
        return found

    def states_of_orders(self) -> list[Row]:
        """Running and setup of all orders that reach into the span, whole: whether a station had run before the span
        decides what setup in it is."""
        start, end = self.span.start_ns, self.span.end_ns
        mine = [row for row in self.orders if row["end"] > start and row["start"] < end]
        around = (min([start, *(row["start"] for row in mine)]), max([end, *(row["end"] for row in mine)]))
        if around == (start, end):
            return self.states
        of_orders = pc.field("class").isin(["running", "setup"])
        return dicts(select(self.root, "states", *around, line=self.line.id, where=of_orders, as_of_ns=self.as_of_ns))

    def rows_of(self, station: str | None) -> pa.Table:
        """The rows of a station (None: of the line) from which the span is laid."""
        return self._laid(station)[0]

    def cover_of(self, station: str | None) -> Cover:
        return self._laid(station)[1]

    def missing(self, station: str | None) -> tuple[int, int]:
        """Of the span the ns without a row, and those behind the last one, of which nothing is known yet."""
        laid = self.cover_of(station)
        ahead = sum(end - start for start, end in laid.gaps[-1:] if end == self.span.end_ns)
        return sum(end - start for start, end in within(laid.gaps, self.span.parts)) - ahead, ahead

    def figures(self, station: str | None) -> Figures:
        return self._figures(station, *self._laid(station))

    def _laid(self, station: str | None) -> tuple[pa.Table, Cover]:
        if station not in self._by:
            names = self._chosen.column("station").cast(pa.string())
            mine = self._chosen.filter(pc.is_null(names) if station is None else pc.equal(names, pa.scalar(station)))
            self._by[station] = mine, cover(mine, self.span.start_ns, self.span.end_ns)
        return self._by[station]

    def _figures(self, station: str | None, table: pa.Table, laid: Cover) -> Figures:
        rows, minus = (table.take(pa.array(some, pa.int64())) for some in (laid.rows, laid.minus))
        names = set(rows.column("policy").to_pylist())
        policy = str(names.pop()) if len(names) == 1 else self.line.policy
        return Figures.of(rows, minus, policy, self._ideal(station, rows))

    def _ideal(self, station: str | None, rows: pa.Table) -> int:
        """Ideal time per part of the plant model, for the product of the last row: of use where nothing was made."""
        if not rows.num_rows:
            return 0
        last = rows.slice(rows.num_rows - 1).select(["constraint", "product"]).to_pylist()[0]
        name = station or last["constraint"]
        found = next((one for one in self.line.stations if one.id == name), None)
        if found is None:
            return 0
        products = [product.id for product in self.line.products]
        place = products.index(last["product"]) + 1 if last["product"] in products else 0
        return ideal_ns(self.line, found)[place]

    def hours(self) -> list[dict[str, Any]]:
        """Clock hour by clock hour: what ideal speed would have made in planned time, what was made, the difference."""
        rows = self._rolling(None)
        constraint = self.constraint()
        found: list[dict[str, Any]] = []
        summed = planned_so_far = 0.0
        for start, end in hours(self.line, self.span):
            laid = cover(rows, start, end)
            one = self._figures(None, rows, laid)
            ideal, lost = one.parts_in(one.planned_ns), one.lost_parts
            summed += float(lost or 0)
            plan = self.plan(start, end)
            over = None if plan.parts is None or not laid.rows else float(one.good - plan.parts)
            planned_so_far += over or 0.0
            found.append(
                {
                    "start": rfc3339(start),
                    "end": rfc3339(end),
                    "planned_ns": one.planned_ns,
                    "unknown_ns": one.unknown_ns,
                    "no_rows_ns": laid.gap_ns,
                    "ideal_parts": None if ideal is None else float(ideal),
                    "plan_parts": None if over is None or plan.parts is None else float(plan.parts),
                    "good": one.good if laid.rows else None,
                    "plan_difference": over,
                    "plan_so_far": None if over is None else planned_so_far,
                    "scrap": one.made - one.good if laid.rows else None,
                    "lost_parts": None if lost is None else float(lost),
                    "lost_so_far": summed,
                    "oee": one.ratios()["oee"],
                    "biggest": self._biggest(constraint, start, end),
                }
            )
        known = self.span.end_ns - self.missing(None)[1]
        # Of what is to come there is nothing to show. Hours that no row lies in may still be known of as a whole.
        return [one for one in found if one["good"] is not None or parse_rfc3339(one["start"]) < known]

    def plan(self, start_ns: int, end_ns: int) -> Plan:
        """What the target asks of a part of the span, as far as there are rows."""
        return plan_of(self.line, self.target, self._planned, start_ns, end_ns)

    @cached_property
    def _planned(self) -> pa.Table:
        """The line's rows of windows, and of what is before them the last row: it names the product of a gap behind."""
        rows, begin = self._rolling(None), self.span.start_ns
        if not self.target.parts_per_hour or not rows.num_rows or int(integers(rows.column("end")).min()) <= begin:
            return rows
        mine = pc.field("station").is_null() & ~pc.field("window").isin(SCOPES)
        at = max(begin - _BEFORE_NS[0], 0), begin
        past = select(self.root, "kpis", *at, line=self.line.id, where=mine, as_of_ns=self.as_of_ns)
        ends = integers(past.column("end"))
        known = np.flatnonzero(ends <= begin)
        if not known.size:
            return rows
        return pa.concat_tables([past.slice(int(known[np.argmax(ends[known])]), 1), rows]).unify_dictionaries()

    def _rolling(self, station: str | None) -> pa.Table:
        return rolling(self.rows_of(station))

    def constraint(self) -> str | None:
        """The station whose figures are the line's in the newest row of the span."""
        rows, laid = self._laid(None)
        return rows.column("constraint")[laid.rows[-1]].as_py() if laid.rows else None

    def _biggest(self, station: str | None, start: int, end: int) -> dict[str, Any] | None:
        mine = [row for row in self.seen if row["station"] == station and row["start"] < end and row["end"] > start]
        found = pareto(mine, start, end, self.line.policy)
        return None if not found else {"class": found[0].klass, "reason": found[0].reason, "ns": found[0].ns}

    def intervals(self, window: str) -> list[dict[str, Any]]:
        """The line's rows of shifts, days or orders that reach into the span, as they lie there."""
        windows, stations = (self.kpis.column(name).cast(pa.string()) for name in ("window", "station"))
        rows = dicts(self.kpis.filter(pc.and_(pc.equal(windows, pa.scalar(window)), pc.is_null(stations))))
        return [texts(row) for row in sorted(rows, key=lambda row: (row["start"], row["end"]))]

    def pareto(self, station: str | None = None) -> list[dict[str, Any]]:
        """Losses of one station, or of all: minutes of stations beside each other are not minutes of the line."""
        mine = [row for row in self.seen if station is None or row["station"] == station]
        return _losses(pareto(mine, self.span.start_ns, self.span.end_ns, self.line.policy))

    def charged(self) -> list[dict[str, Any]]:
        """The same with waits charged to the station that stood."""
        return _losses(charged(self.line, self.seen, self.span.start_ns, self.span.end_ns, self.line.policy))

    def timeline(self) -> list[dict[str, Any]]:
        """Per station every interval, cut at the span, and its total per class: what is drawn sums to the rows."""
        found = []
        for station in (one.id for one in self.line.stations):
            mine = sorted((row for row in self.seen if row["station"] == station), key=lambda row: int(row["start"]))
            totals: dict[str, int] = {}
            for row in mine:
                totals[row["class"]] = totals.get(row["class"], 0) + clipped(row, self.span.start_ns, self.span.end_ns)
            intervals = [
                {
                    "start": rfc3339(max(row["start"], self.span.start_ns)),
                    "end": rfc3339(min(row["end"], self.span.end_ns)),
                    "ns": clipped(row, self.span.start_ns, self.span.end_ns),
                    "class": row["class"],
                    "state": row["state"],
                    "reason": row["reason"],
                    "order": row["order"],
                    "revision": row["revision"],
                    "goes_on": OPEN in row,
                }
                for row in mine[:MOST_STATES]
            ]
            left_out = len(mine) - len(intervals)
            found.append({"station": station, "intervals": intervals, "left_out": left_out, "totals_ns": totals})
        return found

    def health(self) -> dict[str, Any]:
        """What may be wrong with the figures themselves, in numbers."""
        total = self.figures(None)
        lost = [row for row in self.seen if row["class"] in _NO_REASON]
        ns = [clipped(row, self.span.start_ns, self.span.end_ns) for row in lost]
        bare = sum(one for row, one in zip(lost, ns, strict=True) if row["reason"] is None)
        quality = [row for row in self.alerts if row["kind"] == DATA_QUALITY]
        # Rows that come for the first time after a revision bear its number, too.
        revised = [*self.states, *dicts(self.kpis.select(["revised"]))]
        gap, _ = self.missing(None)
        known = total.ns + gap
        return {
            "unknown_share": (total.unknown_ns + gap) / known if known else None,
            "down_ns": sum(ns),
            "down_without_reason_ns": bare,
            "down_without_reason_share": bare / sum(ns) if sum(ns) else None,
            "refused": len(self.refused),
            "revised_rows": sum(row["revised"] is not None for row in revised),
            "suspect": total.ratios()["suspect"],
            "models": sorted(set(self.kpis.column("model").to_pylist())),
            DATA_QUALITY: [texts(row) for row in quality[:MOST_ROWS]],
        }


def _losses(found: Sequence[Loss]) -> list[dict[str, Any]]:
    return [
        {
            "station": one.station,
            "class": one.klass,
            "reason": one.reason,
            "ns": one.ns,
            "count": one.count,
            "longest_ns": one.longest_ns,
            "longest_start": rfc3339(one.longest_start_ns),
        }
        for one in found
    ]


def texts(row: Row) -> dict[str, Any]:
    """A row with its instants as RFC 3339 and its dates as ISO text, and without null origin."""
    made = dict(row)
    for name in ("start", "end", "ts", "since", "revised"):
        if isinstance(made.get(name), int):
            made[name] = rfc3339(made[name])
    if made.get("production_date") is not None:
        made["production_date"] = made["production_date"].isoformat()
    return made


def refusal(row: Row) -> dict[str, Any]:
    """A row of what was refused, with its bytes as far as they can be shown."""
    value = row["value"] or b""
    said = "".join(c if c.isprintable() else "\ufffd" for c in value[:MOST_BYTES].decode(errors="replace"))
    return {**texts(row), "value": said + ("…" if len(value) > MOST_BYTES else "")}


def report(
    root: Path | str,
    line_name: str,
    kind: str,
    value: str,
    *,
    as_of_ns: int | None = None,
    factors: Factors | None = None,
) -> dict[str, Any]:
    """All of it: `line_name` over the span that `kind` (shift, day, week, order, span) and `value` mean. `factors`: by
    which amounts become CO2e and money.

    Raises AuditError, and ReportError: no such line or span, or no row of it.
    """
    with one_listing():
        site = site_of(root)
        line = site.line(line_name)
        span = span_of(root, line, kind, value, as_of_ns)
        sheet = Sheet(root, line, span, as_of_ns, site.target(line.id), factors)
        if not sheet.kpis.num_rows and not sheet.states:
            raise ReportError(
                f"line {line.id}: no row between {rfc3339(span.start_ns)} and {rfc3339(span.end_ns)}; `twin audit ls` "
                "shows what there is"
            )
        return {
            **head(site.site, line, span, as_of_ns),
            "labels": labels_of(site.plant(line.id).reasons),
            **_body(sheet, span),
            "proof": _proof(root, site.lines, sheet),
        }


def head(site: str, line: Line, span: Span, as_of_ns: int | None) -> dict[str, Any]:
    zone = line.calendar.zone
    return {
        "site": site,
        "line": line.id,
        "area": line.area,
        "policy": line.policy,
        "zone": zone,
        "as_of": None if as_of_ns is None else rfc3339(as_of_ns),
        "span": {
            "kind": span.kind,
            "label": span.label,
            "start": rfc3339(span.start_ns),
            "end": rfc3339(span.end_ns),
            "ns": sum(end - start for start, end in span.parts),
            "start_local": local(zone, span.start_ns),
            "end_local": local(zone, span.end_ns),
            "pauses": [{"start": rfc3339(start), "end": rfc3339(end)} for start, end in span.pauses],
        },
    }


def _body(sheet: Sheet, span: Span) -> dict[str, Any]:
    total, laid = sheet.figures(None), sheet.cover_of(None)
    gap, ahead = sheet.missing(None)
    said = bottleneck(sheet.bottlenecks)
    known = changeovers(sheet.states_of_orders(), sheet.orders)
    changes = [one for one in known if any(start <= one.start_ns < end for start, end in span.parts)]
    other_intervals, other_ns = other_setup(sheet.states, known, span.start_ns, span.end_ns)
    constraint = sheet.constraint()
    losses, charges = sheet.pareto(), sheet.charged()
    stations = [
        {"station": one.id, **sheet.figures(one.id).as_dict(), "no_rows_ns": sheet.missing(one.id)[0]}
        for one in sheet.line.stations
    ]
    plan = as_dict(sheet.plan(span.start_ns, span.end_ns), sheet.target, total.good)
    return {
        "total": {**total.as_dict(), **plan, "no_rows_ns": gap, "ahead_ns": ahead, "constraint": constraint},
        "gaps": [{"start": rfc3339(a), "end": rfc3339(b)} for a, b in within(laid.gaps, span.parts)[:MOST_ROWS]],
        "settled": settled(sheet),
        "waterfall": [
            {"step": one.id, "kind": one.kind, "ns": one.ns, "parts": None if one.parts is None else float(one.parts)}
            for one in total.waterfall(gap, ahead)
            if one.ns or one.kind in ("quality", "good")
        ],
        "stations": stations,
        "pareto": losses[:MOST_LOSSES],
        "pareto_left_out": max(0, len(losses) - MOST_LOSSES),
        "charged": charges[:MOST_LOSSES],
        "charged_left_out": max(0, len(charges) - MOST_LOSSES),
        "chains": chains(sheet.line, sheet.seen, constraint, span.start_ns, span.end_ns)[:MOST_LOSSES],
        "flow": flow_of(sheet.line, stations, said["rows"] if said else []),
        "timeline": sheet.timeline(),
        "hours": sheet.hours() if span.kind in ("shift", "day") else [],
        "shifts": sheet.intervals("shift")[:MOST_ROWS],
        "days": sheet.intervals("day")[:MOST_ROWS],
        "orders": sheet.intervals("order")[:MOST_ROWS],
        "changeovers": [
            {
                "station": one.station,
                "start": rfc3339(one.start_ns),
                "end": rfc3339(one.end_ns),
                "ns": one.ns,
                "target_ns": sheet.target.changeover_ns,
                "from": one.before,
                "to": one.after,
                "order": one.order,
            }
            for one in changes[:MOST_ROWS]
        ],
        "other_setup": {"intervals": other_intervals, "ns": other_ns},
        "bottleneck": None
        if said is None
        else {
            **{name: said[name] for name in ("window", "verdict")},
            "start": rfc3339(said["start"]),
            "end": rfc3339(said["end"]),
            "rows": [texts(row) for row in said["rows"]],
        },
        "alerts": [texts(row) for row in sheet.alerts[:MOST_ROWS]],
        "refused": [refusal(row) for row in sheet.refused[:MOST_ROWS]],
        "health": sheet.health(),
        **{one.id: one.rows(sheet) for one in SECTIONS if one.rows is not None},
    }


def settled(sheet: Sheet) -> dict[str, Any]:
    """Whether the figures may still change: until when late events and corrections revise rows of the span."""
    laid, revise = sheet.cover_of(None), sheet.line.revise_ns
    rows = sheet.rows_of(None).take(pa.array(laid.rows, pa.int64()))
    newest = min(int(integers(rows.column("end")).max()), sheet.span.end_ns) if rows.num_rows else 0
    complete = not laid.gaps or laid.gaps[-1][1] < sheet.span.end_ns
    return {
        "complete": complete,  # rows reach to the end of the span
        "known_until": rfc3339(newest) if newest else None,
        "revisable_until": None if revise is None else rfc3339(sheet.settles_ns),
        "final_until": _final_until(sheet, complete),
        "final": complete and sheet.gone_on,  # the line has gone on so far that nothing can change it
        "highest_revision": int(integers(rows.column("revision")).max()) if rows.num_rows else 0,
    }


def _final_until(sheet: Sheet, complete: bool) -> str | None:
    """Up to when figures can change no more, of a span of which others can. None: none of them, or all."""
    if not complete or sheet.gone_on or sheet.as_of_ns is not None:
        return None
    of_line = pc.field("station").is_null()
    newer = select(sheet.root, "kpis", sheet.span.end_ns, line=sheet.line.id, where=of_line)
    newest = int(integers(newer.column("end")).max()) if newer.num_rows else sheet.span.end_ns
    until = newest - (sheet.settles_ns - sheet.span.end_ns)
    return rfc3339(until) if until > sheet.span.start_ns else None


def _proof(root: Path | str, lines: dict[str, tuple[Line, str]], sheet: Sheet) -> dict[str, Any]:
    span = sheet.span
    return {
        "model": lines[sheet.line.id][1],
        "rows": sheet.kpis.num_rows + len(sheet.states) + len(sheet.bottlenecks) + len(sheet.alerts),
        "commands": [
            "twin audit verify AUDIT",
            f"twin audit recompute AUDIT --line {quoted(sheet.line.id)} --from {rfc3339(span.start_ns)} "
            f"--to {rfc3339(span.end_ns)}",
        ],
    }


def quoted(word: str) -> str:
    """For a shell: a line's name is a text like any other."""
    import shlex

    return shlex.quote(word)
