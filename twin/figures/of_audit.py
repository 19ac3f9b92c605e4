"""Control charts of what an audit root says: one point for each row of a line or station, in order of time.

p: parts that were not good at once, of all parts. u: stops per hour in which the station was to run. i_mr: one value a
row. Windows, shifts, days and orders are rows that are complete: no point is made of a part of one. A row without parts
(or hours, or value) is no point; for moving ranges it is a gap. The newest revision of each row counts, as the views of
`twin audit query` show it, or what was believed `as_of_ns`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from twin.figures.attribute_charts import CountChart, p_chart, u_chart
from twin.figures.charts import i_mr
from twin.figures.exact import exact
from twin.figures.run_rules import RULES, run_rules
from twin.report.cover import SCOPES
from twin.report.rows import Row, dicts, select

Kind = Literal["p", "u", "i_mr"]
Limits = tuple[float, float]

# Rules that need order and side only: they hold whatever each point's own limits are.
_OF_ORDER: Final = ("WE4", "N2", "N3", "N4")
_HOUR_NS: Final = 3_600_000_000_000
_RUN: Final = ("running_ns", "minor_stop_ns", "down_ns")
_COUNTS: Final[dict[str, tuple[str, ...]]] = {
    "not_good": ("scrap", "rework"),
    "scrap": ("scrap",),
    "rework": ("rework",),
    "stops": ("minor_stops", "downs"),
    "minor_stops": ("minor_stops",),
    "downs": ("downs",),
}
OF: Final[dict[str, tuple[str, ...]]] = {
    "p": ("not_good", "scrap", "rework"),
    "u": ("stops", "minor_stops", "downs"),
    "i_mr": ("cycle_s", "availability", "performance", "quality", "oee"),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One row of the audit. `signals` names what it violates: `limit` or run rules."""

    start_ns: int
    end_ns: int
    name: str | None  # shift or order
    product: str | None
    count: int | None  # of p and u
    size: Fraction | None  # parts, or hours
    value: Fraction | None  # None: no point
    limits: Limits | None
    signals: list[str]
    phase: int


@dataclass(frozen=True, slots=True)
class AuditChart:
    kind: str
    of: str
    center: Fraction | None
    sigma: float | None  # of single values
    points: list[Point]
    run_rules: tuple[str, ...]

    @property
    def signals(self) -> int:
        """Points that violate anything."""
        return sum(bool(point.signals) for point in self.points)


def chart(
    root: Path | str,
    line: str,
    kind: Kind,
    *,
    of: str | None = None,
    per: str = "shift",
    station: str | None = None,
    phase1: int | None = None,
    span_ns: tuple[int, int] | None = None,
    as_of_ns: int | None = None,
) -> AuditChart:
    """A chart over the rows of `per` (shift, day, order or a window's id); station None is the line.

    The first `phase1` points that exist make the limits (default: all), later ones are judged by them. Of rolling
    windows, which overlap, the first and then each that begins where the last has ended. Raises AuditError, ValueError.
    """
    if kind not in OF:
        raise ValueError(f"no chart {kind!r}: expected one of {', '.join(OF)}")
    wanted = OF[kind][0] if of is None else of
    if wanted not in OF[kind]:
        raise ValueError(f"a {kind} chart of {wanted!r}: expected one of {', '.join(OF[kind])}")
    rows = _rows(root, line, per, station, span_ns, as_of_ns)
    return (_single if kind == "i_mr" else _counted)(rows, kind, wanted, phase1)


def _rows(
    root: Path | str, line: str, per: str, station: str | None, span: tuple[int, int] | None, as_of_ns: int | None
) -> list[Row]:
    own = pc.field("station").is_null() if station is None else pc.field("station") == station
    where = (pc.field("window") == per) & own
    table = (
        select(root, "kpis", line=line, where=where, as_of_ns=as_of_ns)
        if span is None
        else select(root, "kpis", *span, line=line, where=where, as_of_ns=as_of_ns)
    )
    rows = sorted(dicts(table), key=lambda row: (row["end"], row["start"]))
    if per not in SCOPES:
        rows = _apart(rows)
    if not rows:
        at = line if station is None else f"{line}/{station}"
        known = select(root, "kpis", line=line, where=own, as_of_ns=as_of_ns).column("window").cast(pa.string())
        there = ", ".join(sorted({str(one) for one in known.to_pylist()})) or "nothing of it"
        raise ValueError(f"no rows of {per!r} for {at} in {root}; there is: {there}")
    return rows


def _apart(rows: list[Row]) -> list[Row]:
    """Of rolling windows those that do not overlap: points that share their parts are no samples."""
    kept: list[Row] = []
    for row in rows:
        if not kept or row["start"] >= kept[-1]["end"]:
            kept.append(row)
    return kept


def _first(exist: Sequence[int], phase1: int | None) -> list[int]:
    """Which rows make the limits."""
    if phase1 is not None and phase1 < 2:
        raise ValueError(f"phase I of {phase1} points: expected at least 2")
    return list(exist if phase1 is None else exist[:phase1])


def _counted(rows: list[Row], kind: str, of: str, phase1: int | None) -> AuditChart:
    counts = [sum(row[name] for name in _COUNTS[of]) for row in rows]
    sizes = [
        Fraction(row["good"] + row["scrap"] + row["rework"])
        if kind == "p"
        else Fraction(sum(row[name] for name in _RUN), _HOUR_NS)
        for row in rows
    ]
    # A correction may leave fewer good parts than were lost, or a stop without time: no share to plot.
    exist = [i for i, (count, size) in enumerate(zip(counts, sizes, strict=True)) if size > 0 and count >= 0]
    exist = [i for i in exist if kind == "u" or counts[i] <= sizes[i]]
    first = _first(exist, phase1)
    make: Callable[..., CountChart] = p_chart if kind == "p" else u_chart
    center = make([counts[i] for i in first], [sizes[i] for i in first]).center
    if center is None:
        raise ValueError(f"no {'parts' if kind == 'p' else 'hours'} in the rows of phase I: no limits")
    judged = make([counts[i] for i in exist], [sizes[i] for i in exist], center=center)
    values: list[Fraction | None] = [None] * len(rows)
    limits: list[Limits | None] = [None] * len(rows)
    beyond = set()
    for place, i in enumerate(exist):
        values[i] = counts[i] / sizes[i]
        pair = judged.limits[place]
        limits[i] = None if pair is None else (float(pair[0]), float(pair[1]))
        if place in judged.out:
            beyond.add(i)
    signals = _signals(values, run_rules(values, center=center, rules=_OF_ORDER), beyond)
    points = [
        _point(row, counts[i], sizes[i], values[i], limits[i], signals[i], 1 if i in first or values[i] is None else 2)
        for i, row in enumerate(rows)
    ]
    return AuditChart(kind, of, center, None, points, _OF_ORDER)


def _single(rows: list[Row], kind: str, of: str, phase1: int | None) -> AuditChart:
    values = [_value(row, of) for row in rows]
    first = _first([i for i, value in enumerate(values) if value is not None], phase1)
    last = first[-1] if first else -1
    made = i_mr(values[: last + 1], values[last + 1 :])
    beyond = {*made.phase1_out, *(last + 1 + i for i in made.phase2_out)}
    found = run_rules(values, made.center, exact(made.sigma)) if made.sigma else {}
    signals = _signals(values, found, beyond)
    limits = (float(made.limits[0]), float(made.limits[1]))
    points = [
        _point(row, None, None, values[i], limits, signals[i], 1 if i <= last else 2) for i, row in enumerate(rows)
    ]
    return AuditChart(kind, of, made.center, made.sigma, points, tuple(RULES))


def _value(row: Row, of: str) -> Fraction | None:
    if of == "cycle_s":
        return Fraction(row["cycle_ns"], row["cycles"] * 1_000_000_000) if row["cycles"] else None
    return None if row[of] is None else exact(row[of])


def _signals(values: Sequence[Fraction | None], rules: dict[str, list[int]], beyond: set[int]) -> list[list[str]]:
    named: list[list[str]] = [["limit"] if i in beyond else [] for i in range(len(values))]
    for rule, indices in rules.items():
        for i in indices:
            if rule not in ("WE1", "N1"):  # the same as `limit`
                named[i].append(rule)
    return named


def _point(
    row: Row,
    count: int | None,
    size: Fraction | None,
    value: Fraction | None,
    limits: Limits | None,
    signals: list[str],
    phase: int,
) -> Point:
    name = row["order"] if row["window"] == "order" else row["shift"]
    return Point(
        row["start"],
        row["end"],
        name,
        row["product"],
        count,
        size,
        value,
        limits if value is not None else None,
        signals,
        phase,
    )
