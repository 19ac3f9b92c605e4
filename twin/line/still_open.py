"""What is not closed: the day, shift and order that go on, and the last state of every station, with figures so far."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kernels.codes import CLASS_NAMES, GOOD, REWORK, SCRAP
from kernels.figures.oee import policy_matrix, ratios
from kernels.fold import layout as at
from twin.line.engine import Engine
from twin.plant.calendar import shift_id
from twin.plant.model import Line

I64 = npt.NDArray[np.int64]
NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StillOpen:
    """One interval without an end: no row of an audited set, and its figures may still change."""

    line: str
    kind: str  # day, shift, order or state
    station: str | None  # of a state, or with an order of its own; else the line's, whose constraint the figures are of
    name: str | None  # of the shift, of the order; of a state its class
    start_ns: int
    until_ns: int  # event time up to which the figures go
    good: int | None = None
    scrap: int | None = None
    rework: int | None = None
    oee: float | None = None


def still_open(engine: Engine) -> list[StillOpen]:
    """Of every line that was seen; a scope in which nothing has happened yet is none."""
    found: list[StillOpen] = []
    for number in np.flatnonzero(engine.state.lines[:, at.L_SEEN]).tolist():
        found += [*_scopes(engine, number), *_own_orders(engine, number), *_states(engine, number)]
    return found


def _scopes(engine: Engine, number: int) -> Iterator[StillOpen]:
    x, line = engine.state, engine.plant.lines[number]
    row = x.lines[number]
    until = int(max(row[at.L_LAST], engine.watermarks[number]))
    station = int(engine.numbers.lines[number, at.LC_STATION])
    station += engine.rows.constraint(number, engine.products(number))
    total = x.total[station].copy()
    total[x.stations[station, at.S_CLASS]] += max(until - int(x.stations[station, at.S_ACCRUED]), 0)
    shift = int(row[at.L_SHIFT])
    scopes = (
        ("day", at.SCOPE_DAY, at.L_DAY_START, True, None),
        ("shift", at.SCOPE_SHIFT, at.L_SHIFT_START, shift >= 0, _shift(line, shift)),
        ("order", at.SCOPE_ORDER, at.L_ORDER_START, row[at.L_ORDER] >= 0, engine.texts.text(int(row[at.L_ORDER]))),
    )
    for kind, scope, start, running, name in scopes:
        if running and row[at.L_LAST] >= row[start]:
            yield _so_far(line, kind, None, name, int(row[start]), until, total - x.base[station, scope])


def _own_orders(engine: Engine, number: int) -> Iterator[StillOpen]:
    """Orders that stations have as their own."""
    x, line = engine.state, engine.plant.lines[number]
    until = int(max(x.lines[number, at.L_LAST], engine.watermarks[number]))
    lo = int(engine.numbers.lines[number, at.LC_STATION])
    for s, station in enumerate(line.stations, lo):
        row = x.stations[s]
        if row[at.S_STRETCH] == at.STRETCH_OWN and x.lines[number, at.L_LAST] >= row[at.S_STRETCH_START]:
            total = x.total[s].copy()
            total[row[at.S_CLASS]] += max(until - int(row[at.S_ACCRUED]), 0)
            order = engine.texts.text(int(row[at.S_OWN_ORDER]))
            vector = total - x.base[s, at.SCOPE_STRETCH]
            yield _so_far(line, "order", station.id, order, int(row[at.S_STRETCH_START]), until, vector)


def _so_far(
    line: Line, kind: str, station: str | None, name: str | None, start_ns: int, until_ns: int, vector: I64
) -> StillOpen:
    factors, _ = ratios(vector.reshape(1, -1), policy_matrix((line.policy,))[0])
    oee = None if np.isnan(factors[0, 3]) else float(factors[0, 3])
    good, scrap, rework = (int(vector[column]) for column in (GOOD, SCRAP, REWORK))
    return StillOpen(line.id, kind, station, name, start_ns, until_ns, good, scrap, rework, oee)


def _shift(line: Line, instance: int) -> str | None:
    if instance < 0:
        return None
    name, day = shift_id(line.calendar, instance)
    return f"{day.isoformat()} {name}"


def _states(engine: Engine, number: int) -> Iterator[StillOpen]:
    line = engine.plant.lines[number]
    lo = int(engine.numbers.lines[number, at.LC_STATION])
    until = int(max(engine.state.lines[number, at.L_LAST], engine.watermarks[number]))
    for station, row in zip(line.stations, engine.state.stations[lo : lo + len(line.stations)], strict=True):
        name = CLASS_NAMES[int(row[at.S_CLASS])]
        yield StillOpen(line.id, "state", station.id, name, int(row[at.S_SINCE]), until)


def told(found: list[StillOpen], most: int = 20) -> list[str]:
    """Lines for people; states of one class and start are told together, and of very many the first only."""
    lines = [_scope_line(one) for one in found if one.kind != "state"]
    together: dict[tuple[str, str | None, int], list[str]] = {}
    for one in found:
        if one.kind == "state":
            together.setdefault((one.line, one.name, one.start_ns), []).append(one.station or "")
    for (line, name, start), stations in together.items():
        lines.append(f"open: {line} {', '.join(_few(stations))}: {name} since {_time(start)}")
    return lines if len(lines) <= most else [*lines[:most], f"open: and {len(lines) - most:,} more (--json has all)"]


def _few(stations: list[str]) -> list[str]:
    return stations if len(stations) <= 5 else [*stations[:5], f"{len(stations) - 5} more"]


def _scope_line(one: StillOpen) -> str:
    parts = [f"{one.good:,} good", f"{one.scrap:,} scrap"] + ([f"{one.rework:,} rework"] if one.rework else [])
    unknown = ", OEE not known" if one.good or one.scrap or one.rework else ""
    oee = unknown if one.oee is None else f", OEE {one.oee:.3f}"
    name = "" if one.name is None else f" {one.name}"
    place = one.line if one.station is None else f"{one.line}/{one.station}"
    return f"open: {place} {one.kind}{name} since {_time(one.start_ns)}: {', '.join(parts)}{oee} so far"


def _time(ns: int) -> str:
    return str(np.datetime64(ns // NS, "s")) + "Z"


def as_dict(one: StillOpen) -> dict[str, Any]:
    """Plain values, for JSON."""
    return {name: getattr(one, name) for name in StillOpen.__slots__} | {"open": True}
