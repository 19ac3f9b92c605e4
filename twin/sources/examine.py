"""A dry run of logs: what their rows become, what stands against it, and what a replay would make of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kernels.codes import (
    CLASS_NAMES,
    COUNT,
    COUNTER,
    CYCLE,
    END,
    EVENT_NAMES,
    HEARTBEAT,
    MEASURE,
    ORDER,
    PARTS,
    PRODUCT,
    STATE,
)
from twin.decimals import text_of
from twin.events.block import EventBlock
from twin.plant.model import Measure, Plant
from twin.sources.csv_log import CsvLog
from twin.sources.products import ProductFacts, pace_texts
from twin.sources.source import Source
from twin.sources.stamps import faults
from twin.sources.summary import Summary, merged
from twin.sources.times import iso
from twin.wire.measured import texts_of

I64 = npt.NDArray[np.int64]
_MOST: Final = 5  # examples of a kind
_MOST_STAMPS: Final = 200_000  # events of which the times are looked at together
_WILD: Final = 20  # times the usual step of a counter: worth a look


@dataclass(slots=True)
class CounterFacts:
    """A running counter as read: what it showed, and what its steps were."""

    readings: int = 0
    first: int = 0
    last: int = 0
    rises: int = 0  # sum of all steps up
    falls: int = 0
    fall: str = ""  # the first of them
    steps: list[int] = field(default_factory=list)  # a sample of the steps up
    largest: int = 0
    largest_at: int = 0

    @property
    def suspect(self) -> bool:
        """Whether the largest step is far from what the counter does otherwise."""
        usual = float(np.median(self.steps)) if self.steps else 0.0
        return len(self.steps) >= _MOST and self.largest > _WILD * max(usual, 1.0)


@dataclass(slots=True)
class MeasureFacts:
    """A measure as read; values in the last of its decimals."""

    decimals: int
    unit: str
    meter: bool
    readings: int = 0
    first: int = 0
    last: int = 0
    least: int = 0
    most: int = 0
    falls: int = 0  # of a meter, unless it wraps there
    fall: str = ""  # the first of them

    def add(self, values: I64, ts: I64) -> None:
        if not self.readings:
            self.first = self.last = self.least = self.most = int(values[0])
        steps = np.diff(np.concatenate([[self.last], values]))
        falls = np.flatnonzero(steps < 0) if self.meter else np.empty(0, np.int64)
        if len(falls) and not self.falls:
            i = int(falls[0])
            was, now = (text_of(int(value), self.decimals) for value in (values[i] - steps[i], values[i]))
            self.fall = f"{iso(int(ts[i]))}: {was} to {now}"
        self.falls += len(falls)
        self.readings += len(values)
        self.least, self.most = min(self.least, int(values.min())), max(self.most, int(values.max()))
        self.last = int(values[-1])

    def text(self, value: int) -> str:
        return text_of(value, self.decimals)


@dataclass(slots=True)
class StationFacts:
    """What the events say of one station (None: of the line as a whole)."""

    line: str
    station: str | None
    events: dict[str, int] = field(default_factory=dict)
    first: int = 2**63 - 1
    last: int = -(2**63)
    silence: int = 0  # the longest time between two of its events
    silence_at: int = 0
    late: int = 0  # events older than the line's newest less its lateness
    latest: int = 0  # how much older, at most
    words: dict[str, tuple[str, int]] = field(default_factory=dict)  # state word -> class, how often
    counters: dict[str, CounterFacts] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    cycles: dict[str, int] = field(default_factory=dict)
    products: dict[str, int] = field(default_factory=dict)
    measures: dict[str, MeasureFacts] = field(default_factory=dict)


@dataclass(slots=True)
class Sampled:
    """One row as it stands in the file and the events it becomes."""

    line: int
    cells: dict[str, str]
    events: list[str]


@dataclass(slots=True)
class Findings:
    stations: dict[tuple[str, str | None], StationFacts]
    rows: list[Sampled]
    unknown_products: dict[str, dict[str, int]]  # line -> product -> events
    summary: Summary
    stamps: list[str] = field(default_factory=list)  # what the rhythm of a log says against its times
    declared: ProductFacts = field(default_factory=ProductFacts)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "rows": [{"line": row.line, "cells": row.cells, "events": row.events} for row in self.rows],
            "stations": [_plain(one) for one in self.stations.values()],
            "unknown_products": self.unknown_products,
            "declared_products": self.declared.as_dict(),
            "stamps": self.stamps,
            "summary": self.summary.as_dict(),
        }


def examine(logs: Sequence[Source], plant: Plant, rows: int = 10) -> Findings:
    """Read logs whole, one by one, and fold nothing. `rows` of the first table are shown beside their events."""
    stations: dict[tuple[str, str | None], StationFacts] = {}
    products = ProductFacts()
    shown: list[Sampled] = []
    stamps: list[str] = []
    for log in logs:
        sample: dict[int, Sampled] = {}
        if not shown and isinstance(log, CsvLog):
            sample = {at: Sampled(at, cells, []) for at, cells in log.peek(rows)}
            shown = list(sample.values())
        newest: dict[int, int] = {}
        rows_of: list[tuple[I64, I64]] = []
        for block, _ in log:
            if "jump_back" in log.summary.problems and sum(len(ts) for ts, _ in rows_of) < _MOST_STAMPS:
                rows_of.append((block.ts, block.offset))
            if sample:
                _beside(block, sample, plant)
            _note(block, plant, stations, newest)
            products.note(block, plant)
        stamps += [f"{log.name}: {text}" for text in _stamps(log, rows_of)]
    found = dict(sorted(stations.items(), key=_by_name))
    return Findings(found, shown, products.unknown(), merged(log.summary for log in logs), stamps, products)


def _stamps(log: Source, rows: Sequence[tuple[I64, I64]]) -> list[str]:
    """Of a table whose clock jumps back: what is wrong with its times, row by row."""
    if not rows or not isinstance(log, CsvLog):
        return []
    lines = np.concatenate([offset for _, offset in rows])
    # A row may give several events.
    first = np.flatnonzero(np.diff(lines, prepend=-1) != 0)
    return faults(np.concatenate([ts for ts, _ in rows])[first], lines[first], log.zone)


def _by_name(one: tuple[tuple[str, str | None], StationFacts]) -> tuple[str, str]:
    return one[0][0], one[0][1] or ""


def _beside(block: EventBlock, sample: dict[int, Sampled], plant: Plant) -> None:
    for row in np.flatnonzero(np.isin(block.offset, list(sample))).tolist():
        sample[int(block.offset[row])].events.append(event_text(block, row, plant))


def event_text(block: EventBlock, row: int, plant: Plant) -> str:
    """One event for people's eyes."""
    station = int(block.station[row])
    words = [block.words[i] if i >= 0 else None for i in (block.x[row], block.y[row], block.z[row])]
    kind, code = int(block.type[row]), int(block.code[row])
    place = plant.stations[station].id if station >= 0 else plant.lines[block.line[row]].id
    a, b, c = (int(getattr(block, name)[row]) for name in "abc")
    said = [word for word in words if word]
    if kind == STATE:
        said.append(f"({CLASS_NAMES[code]})")
    elif kind == COUNT:
        parts = {"good": a, "scrap": b, "rework": c}
        said = [f"{words[0]} = {a:,}"] if code == COUNTER else [f"{n:,} {name}" for name, n in parts.items() if n]
    elif kind == MEASURE:
        said = [f"{words[1]} = {texts_of(block, np.array([row]), plant)[0]}", *said[:-1]]
    elif kind in (CYCLE, ORDER):
        said.insert(0, "end" if code == END else "start")
    elif kind == PRODUCT:
        pass
    elif kind != HEARTBEAT:
        said.append(f"{a:,}")
    if block.entry[row] >= 0:
        said += pace_texts(block.words[block.entry[row]])
    return " ".join([iso(int(block.ts[row])), place, EVENT_NAMES[kind], *said])


def _note(
    block: EventBlock, plant: Plant, stations: dict[tuple[str, str | None], StationFacts], newest: dict[int, int]
) -> None:
    for index in np.unique(block.line).tolist():
        line = plant.lines[index]
        rows = np.flatnonzero(block.line == index)
        ts = block.ts[rows]
        before = np.maximum.accumulate(np.concatenate([[newest.get(index, int(ts[0]))], ts]))
        newest[index] = int(before[-1])
        behind = before[:-1] - line.lateness_ns - ts
        for station in np.unique(block.station[rows]).tolist():
            name = plant.stations[station].id if station >= 0 else None
            facts = stations.setdefault((line.id, name), StationFacts(line.id, name))
            own = block.station[rows] == station
            _station(block, rows[own], facts)
            _measures(block, rows[own], plant.stations[station].measures if station >= 0 else line.measures, facts)
            late = behind[own]
            facts.late += int((late > 0).sum())
            facts.latest = max(facts.latest, int(late.max(initial=0)))


def _station(block: EventBlock, rows: I64, facts: StationFacts) -> None:
    ts = block.ts[rows]
    kinds = block.type[rows]
    for kind, count in zip(*np.unique(kinds, return_counts=True), strict=True):
        name = EVENT_NAMES[kind]
        facts.events[name] = facts.events.get(name, 0) + int(count)
    steps = np.diff(np.concatenate([[facts.last if facts.last > -(2**63) else ts[0]], ts]))
    longest = int(np.argmax(steps))
    if steps[longest] > facts.silence:
        facts.silence, facts.silence_at = int(steps[longest]), int(ts[longest] - steps[longest])
    facts.first, facts.last = min(facts.first, int(ts.min())), max(facts.last, int(ts.max()))
    for code, word, count in _tally(block, rows[kinds == STATE]):
        text = block.words[word] if word >= 0 else ""
        facts.words[text] = (CLASS_NAMES[code], facts.words.get(text, ("", 0))[1] + count)
    for code, word, count in _tally(block, rows[kinds == CYCLE]):
        phase = "end" if code == END else "start"
        facts.cycles[phase] = facts.cycles.get(phase, 0) + count
        del word
    for code, word, _ in _tally(block, rows[kinds == COUNT]):
        own = rows[(kinds == COUNT) & (block.code[rows] == code) & (block.x[rows] == word)]
        if code == PARTS:
            for column, quality in (("a", "good"), ("b", "scrap"), ("c", "rework")):
                made = int(getattr(block, column)[own].sum())
                if made:
                    facts.parts[quality] = facts.parts.get(quality, 0) + made
        else:
            _counter(block, own, facts.counters.setdefault(block.words[word], CounterFacts()))


def _measures(block: EventBlock, rows: I64, declared: Sequence[Measure], facts: StationFacts) -> None:
    rows = rows[block.type[rows] == MEASURE]
    known = {one.id: one for one in declared}
    for word in np.unique(block.y[rows]).tolist():
        one = known[block.words[word]]
        own = rows[block.y[rows] == word]
        found = facts.measures.setdefault(one.id, MeasureFacts(one.decimals, one.unit, one.kind == "meter"))
        found.add(block.a[own], block.ts[own])


def _tally(block: EventBlock, rows: I64) -> list[tuple[int, int, int]]:
    """(code, word of x, how often) of these events."""
    if not len(rows):
        return []
    pairs = np.stack([block.code[rows], block.x[rows] if block.type[rows[0]] != CYCLE else 0 * block.x[rows]])
    used, counts = np.unique(pairs, axis=1, return_counts=True)
    return [(int(code), int(word), int(n)) for (code, word), n in zip(used.T, counts, strict=True)]


def _counter(block: EventBlock, rows: I64, facts: CounterFacts) -> None:
    values, ts = block.a[rows], block.ts[rows]
    if not facts.readings:
        facts.first = facts.last = int(values[0])
    steps = np.diff(np.concatenate([[facts.last], values]))
    facts.readings += len(values)
    facts.rises += int(steps[steps > 0].sum())
    falls = np.flatnonzero(steps < 0)
    if len(falls) and not facts.falls:
        i = int(falls[0])
        facts.fall = f"{iso(int(ts[i]))}: {int(values[i] - steps[i]):,} to {int(values[i]):,}"
    facts.falls += len(falls)
    if len(facts.steps) < 10_000:
        facts.steps += steps[steps > 0][:1000].tolist()
    most = int(np.argmax(steps))
    if steps[most] > facts.largest:
        facts.largest, facts.largest_at = int(steps[most]), int(ts[most])
    facts.last = int(values[-1])


def _plain(one: StationFacts) -> dict[str, Any]:
    return {
        "line": one.line,
        "station": one.station,
        "events": one.events,
        "first": iso(one.first),
        "last": iso(one.last),
        "longest_silence_s": one.silence / 1e9,
        "late": one.late,
        "latest_s": one.latest / 1e9,
        "states": {word: {"class": name, "count": count} for word, (name, count) in one.words.items()},
        "parts": one.parts,
        "cycles": one.cycles,
        "counters": {
            name: {
                "readings": c.readings,
                "first": c.first,
                "last": c.last,
                "rises": c.rises,
                "falls": c.falls,
                "first_fall": c.fall or None,
                "largest_step": c.largest,
                "suspect": c.suspect,
            }
            for name, c in one.counters.items()
        },
        "measures": {
            name: {
                "readings": m.readings,
                "unit": m.unit,
                **{key: m.text(getattr(m, key)) for key in ("first", "last", "least", "most")},
                "falls": m.falls,
                "first_fall": m.fall or None,
            }
            for name, m in one.measures.items()
        },
    }
