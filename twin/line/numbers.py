"""The plant model in numbers: what the kernels read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import GOOD, REWORK, SCRAP
from kernels.fold import layout as at
from kernels.fold.arrays import Model
from twin.measures.catalogue import first_pass
from twin.plant.calendar import table
from twin.plant.memory import ring_slots, tick_slots
from twin.plant.model import Calendar, Line, Plant, Product, Station
from twin.plant.notes import units
from twin.plant.shared import once_a_plant
from twin.plant.topology import at_the_end

I64 = npt.NDArray[np.int64]

UNLIMITED: Final = 1 << 40
# One event may not add more parts, nor more ideal time, than this: sums of int64 then last for centuries of honest
# work, and a glitch of a gateway cannot make them wrap.
MAX_PARTS: Final = 1_000_000_000
MAX_WORK_NS: Final = 366 * 86_400_000_000_000
# Cycles of so many units may overlap at a station that declares no places; a further one ends the oldest.
OVERLAPPING: Final = 16
_QUALITY: Final = {"total": GOOD, "good": GOOD, "scrap": SCRAP, "rework": REWORK}
# A calendar is read this far beyond the events at hand, so that it is read again once in a few months of event time.
_CALENDAR_MARGIN_NS: Final = 60 * 86_400_000_000_000


@dataclass(slots=True)
class Numbers:
    """Model arrays except calendars, and the sizes that state arrays need."""

    lines: I64
    stations: I64
    windows: I64
    buffers: I64
    counters: I64
    inputs: I64
    producers: I64
    consumers: I64
    ideal: I64
    places: I64
    made: I64
    calendars: tuple[Calendar, ...]
    buffer_bounds: I64  # line k has the buffers from [k] up to [k + 1]
    counter_bounds: I64
    ring_rows: int
    tick_rows: int
    own_tick_rows: int
    tick_delta_rows: int
    vector_cells: int
    wrapped_rows: int  # a number each of the sources whose numbers wrap
    place_bounds: I64  # line k has the further places from [k] up to [k + 1]


def _lists(rows: Sequence[Sequence[int]], width: int) -> I64:
    return np.array(rows, np.int64).reshape(len(rows), width)


def _bounds(counts: Sequence[int]) -> I64:
    return np.cumsum([0, *counts], dtype=np.int64)


def ideal_ns(line: Line, station: Station) -> list[int]:
    """Ideal cycle of a station: without a product, then per product of the line; 0 where none is given."""
    return [ideal_of(station, product) for product in (None, *line.products)]


def ideal_of(station: Station, product: Product | None) -> int:
    own = station.ideal_cycle_ns or 0
    known = product.ideal_cycle_ns if product is not None else {}
    return known.get(station.id, known.get("*", own))


def fastest_ns(line: Line, station: Station) -> int:
    """No part takes less at this station, whatever is made: as the plant says, else half its shortest ideal cycle.

    0 where neither is known.
    """
    if station.fastest_cycle_ns is not None:
        return station.fastest_cycle_ns
    known = [ns for ns in ideal_ns(line, station) if ns]
    return max(1, min(known) // 2) if known else 0


def worth(station: Station, product: Product | None) -> Fraction:
    """Units of the line in a part of the station while it makes a product; 1 where none are declared."""
    known = product.factor if product is not None else {}
    return Fraction(*known.get(station.id, known.get("*", station.factor or (1, 1))))


def counts_all(station: Station) -> bool:
    """Whether all its parts are counted by cycles or by a counter of all: scrap and rework then say what some were."""
    return station.parts_from == "cycle" or any(counter.quality == "total" for counter in station.counters)


@once_a_plant
def numbers(plant: Plant) -> Numbers:
    """Lay the plant out: stations, buffers and windows are numbered along the lines."""
    lines: list[list[int]] = []
    stations: list[list[int]] = []
    windows: list[list[int]] = []
    buffers: list[list[int]] = []
    counters: list[list[int]] = []
    inputs: list[int] = []
    producers: list[int] = []
    consumers: list[int] = []
    ideal: list[int] = []
    made: list[int] = []
    places: list[list[int]] = []
    bounds = [0]
    calendars: dict[Calendar, int] = {}
    rings = ticks = own_ticks = tick_deltas = cells = wrapped = 0
    n_stations = len(plant.stations)
    passing = first_pass(plant)
    for number, line in enumerate(plant.lines):
        first, n = len(stations), len(line.stations)
        minor_ns = max(s.minor_stop_ns for s in line.stations)
        lengths = [w.length_ns for w in line.windows] or [line.publish_every_ns]
        steps = [w.step_ns for w in line.windows] or [line.publish_every_ns]
        row = [0] * at.N_LC
        row[at.LC_STATION], row[at.LC_STATIONS] = first, n
        row[at.LC_WINDOW], row[at.LC_WINDOWS] = len(windows), len(line.windows)
        row[at.LC_PUBLISH_NS], row[at.LC_LATENESS_NS] = line.publish_every_ns, line.lateness_ns
        row[at.LC_MAX_JUMP_NS], row[at.LC_PANE_NS] = line.max_jump_ns, line.pane_ns
        row[at.LC_BUFFERS], row[at.LC_REQUIRES_ORDER] = len(line.buffers), int(line.requires_order)
        row[at.LC_CALENDAR] = calendars.setdefault(line.calendar, len(calendars))
        row[at.LC_VECTOR], row[at.LC_TICKS] = cells, ticks
        row[at.LC_OWN_TICKS] = own_ticks
        row[at.LC_TICK_SLOTS] = tick_slots(line)
        row[at.LC_HORIZON_NS] = max(*lengths, line.pane_ns) + line.publish_every_ns + minor_ns + 2 * max(steps)
        row[at.LC_DOWN_NS] = line.limits.down_ns or 0
        row[at.LC_REVISE_NS] = line.revise_ns or 0
        row[at.LC_SEQ_MODULUS], row[at.LC_WRAPPED] = line.seq_modulus or 0, wrapped
        wrapped += (line.seq_modulus or 0) * (n + 1)
        row[at.LC_PRODUCTS], row[at.LC_UNITS] = len(line.products), int(bool(units(line)))
        lines.append(row)
        further = cells + n * n  # vectors of further places lie behind those of the stations
        row[at.LC_CELLS] = n * sum(s.places or 1 for s in line.stations)
        cells += row[at.LC_CELLS]
        ticks += row[at.LC_TICK_SLOTS]
        own_ticks += row[at.LC_TICK_SLOTS] * n
        for window in line.windows:
            slots = ring_slots(window)
            windows.append([window.length_ns, window.step_ns, rings, slots, tick_deltas])
            rings += slots * n
            tick_deltas += row[at.LC_TICK_SLOTS] * n
        buffer_of = {buffer.id: len(buffers) + k for k, buffer in enumerate(line.buffers)}
        ends = at_the_end(line)
        for station in line.stations:
            row = [0] * at.N_SC
            row[at.SC_LINE], row[at.SC_MINOR_NS], row[at.SC_STALE_NS] = (
                number,
                station.minor_stop_ns,
                station.staleness_ns,
            )
            row[at.SC_OUTPUT] = buffer_of[station.output] if station.output is not None else -1
            row[at.SC_INPUT], row[at.SC_INPUTS] = len(inputs), len(station.inputs)
            row[at.SC_PARTS_FROM_CYCLE], row[at.SC_IDEAL] = int(station.parts_from == "cycle"), len(ideal)
            row[at.SC_MAX_PARTS] = min(MAX_PARTS, MAX_WORK_NS // max(1, *ideal_ns(line, station)))
            row[at.SC_FASTEST_NS] = fastest_ns(line, station)
            row[at.SC_PLACES], row[at.SC_ROW] = station.places or 1, n_stations + len(places)
            row[at.SC_ROWS] = (station.places or OVERLAPPING) - 1
            for _ in range(row[at.SC_ROWS]):
                places.append([len(stations), -1 if station.places is None else further])
                further += 0 if station.places is None else n
            row[at.SC_END] = int(station.id in ends)
            row[at.SC_FIRST_PASS] = passing[len(stations)]
            stations.append(row)
            inputs += [buffer_of[b] for b in station.inputs]
            row[at.SC_COUNTS_ALL] = int(counts_all(station))
            ideal += ideal_ns(line, station)
            made += [p.parts_per_cycle or station.parts_per_cycle for p in (Product(""), *line.products)]
            for counter in station.counters:
                total, of_cycles = int(counter.quality == "total"), int(counter.counts == "cycles")
                counters.append([_QUALITY[counter.quality], counter.scale, counter.modulus or 0, total, of_cycles])
        bounds.append(len(places))
        for buffer in line.buffers:
            from_ = [first + k for k, s in enumerate(line.stations) if s.output == buffer.id]
            to = [first + k for k, s in enumerate(line.stations) if buffer.id in s.inputs]
            capacity = UNLIMITED if buffer.capacity is None else buffer.capacity
            buffers.append([capacity, len(producers), len(from_), len(consumers), len(to)])
            producers += from_
            consumers += to
    return Numbers(
        lines=_lists(lines, at.N_LC),
        stations=_lists(stations, at.N_SC),
        windows=_lists(windows, at.N_WC),
        buffers=_lists(buffers, at.N_BC),
        counters=_lists(counters, at.N_KC),
        inputs=np.array(inputs, np.int64),
        producers=np.array(producers, np.int64),
        consumers=np.array(consumers, np.int64),
        ideal=np.array(ideal, np.int64),
        places=_lists(places, at.N_PC),
        made=np.array(made, np.int64),
        calendars=tuple(calendars),
        buffer_bounds=_bounds([len(line.buffers) for line in plant.lines]),
        counter_bounds=_bounds([sum(len(s.counters) for s in line.stations) for line in plant.lines]),
        ring_rows=rings,
        tick_rows=ticks,
        own_tick_rows=own_ticks,
        tick_delta_rows=tick_deltas,
        vector_cells=cells,
        wrapped_rows=wrapped,
        place_bounds=np.array(bounds, np.int64),
    )


def cut_at_ticks(n: Numbers) -> Numbers:
    """The same where nobody looks between two publishing ticks: rows of windows need the cuts that lie a whole window
    before a tick, and a view or a state to be saved those of every step. Of a window of 1 min/1 s that is one in 60.
    """
    windows = n.windows.copy()
    for row in n.lines.tolist():
        mine = windows[row[at.LC_WINDOW] : row[at.LC_WINDOW] + row[at.LC_WINDOWS]]
        mine[:, at.WC_STEP] = np.gcd(mine[:, at.WC_LENGTH], row[at.LC_PUBLISH_NS])
    return replace(n, windows=windows)


def model(n: Numbers, start_ns: int, end_ns: int) -> Model:
    """The numbers with calendars that cover [start_ns, end_ns] and some months more."""
    end_ns += _CALENDAR_MARGIN_NS
    tables = [table(calendar, start_ns, end_ns) for calendar in n.calendars]
    return Model(
        n.lines,
        n.stations,
        n.windows,
        n.buffers,
        n.counters,
        n.inputs,
        n.producers,
        n.consumers,
        n.ideal,
        n.places,
        n.made,
        np.cumsum([0, *(len(t.ts) for t in tables)]).astype(np.int64),
        np.concatenate([t.ts for t in tables]),
        np.concatenate([t.klass for t in tables]).astype(np.int64),
        np.concatenate([t.shift for t in tables]).astype(np.int64),
        np.concatenate([t.day for t in tables]).astype(np.int64),
        np.full(len(tables), end_ns, np.int64),
    )
