"""MTConnect SHDR as events.

A row is `time|item|value|item|value...`, or a condition: `time|item|level|native code|severity|qualifier|text`.

The agent's document is not needed: the mapping says which item is the execution state, which conditions are its
reason, which items count. Rows keep their order of arrival; those that come late are for the twin to sort in.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from kernels.codes import COUNT, COUNTER, HEARTBEAT, MEASURE, PARTS, PRODUCT, STATE, UNKNOWN
from twin.events.block import EventBlock
from twin.events.declare import INT64_MAX, MAX_TEXT, YEAR_2200_NS
from twin.plant.model import Plant
from twin.sources import bind
from twin.sources.bind import LogPath
from twin.sources.blocks import Words, slices
from twin.sources.clock import Clock
from twin.sources.drafts import draft
from twin.sources.files import LogFile, OfFile
from twin.sources.mapping import ShdrMapping, check
from twin.sources.mapping_model import CountRule, MeasureRule, ProductRule
from twin.sources.paces import UnusableError, said_of, say
from twin.sources.samples import UNKNOWN_WORD
from twin.sources.source import BLOCK_EVENTS, Batch, Stage
from twin.sources.summary import Summary
from twin.sources.time_format import TimeFormat
from twin.sources.times import TimeReader, iso
from twin.sources.values import Numbers, stands_for_nothing, to_number
from twin.wire.entries import text_of
from twin.wire.lookup import Lookup
from twin.wire.measured import value_of_number

UNAVAILABLE = "UNAVAILABLE"
_POINT = Numbers(".")
_LEVELS = {"NORMAL": 0, "WARNING": 1, "FAULT": 2}
_CONDITION_FIELDS = 6
_MESSAGE_FIELDS = 3
_LONG_AGO = -(2**60)  # further back, and what lies between it and a late year is no int64


@dataclass(slots=True)
class _Event:
    line: int  # of the file
    ts: int
    type: int
    code: int = 0
    parts: tuple[int, int, int] = (0, 0, 0)
    words: tuple[str | None, str | None, str | None] = (None, None, None)
    entry: str | None = None


@dataclass(slots=True)
class _Machine:
    """What the stream has said so far."""

    state: str | None = None
    state_code: int = UNKNOWN
    state_ts: int = _LONG_AGO  # of the execution item
    told_ts: int = _LONG_AGO  # of the last state event
    told: tuple[str | None, str | None, str | None] = (None, None, None)
    mode: str | None = None
    conditions: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)  # (item, code) -> level, text
    counters: dict[str, int] = field(default_factory=dict)
    newest: int = _LONG_AGO  # of any event
    product: str | None = None
    product_ts: int = _LONG_AGO
    paces: dict[str, tuple[int, tuple[str, str] | None]] = field(default_factory=dict)  # field -> when, what is said
    declared: str | None = None  # what was said last of this product


class ShdrLog(OfFile):
    """One SHDR file of one station. Raises MappingError or SourceError before the first row, and never for a row.

    `summary.rows` counts observations (items), of which each gives one event, is ignored, or is a problem.
    """

    numbered = False
    named = False
    closes = True

    def __init__(self, log: LogPath, plant: Plant, mapping: ShdrMapping, stage: Stage = None) -> None:
        mapping = bind.shdr_to_file(mapping, log)
        check(mapping, plant)
        self.name = log.name
        self.summary = Summary()
        self._mapping = mapping
        self._file = LogFile(log.path, self.summary, log.member, whole=stage == "growing")
        lookup = Lookup(plant)
        self._earliest_ns = lookup.earliest_ns
        self._lateness_ns = lookup.lateness_ns
        place = lookup.places[mapping.line, mapping.station]
        self._line, self._station = int(lookup.line_of[place]), int(lookup.station_of[place])
        self._states = lookup.states[self._station]
        self._counter_max = lookup.counter_max[self._station]
        self._measures = {rule.item: rule for rule in mapping.measures}
        self._declared = {measure.id: measure for measure in plant.stations[self._station].measures}
        self._counts = {rule.item: rule for rule in mapping.counts}
        self._of_line = mapping.product is not None and mapping.product.of_line
        self._pace_items = {one.column for one in mapping.product.paces.values()} if mapping.product else set()
        self._clock = Clock(plant, self.summary)
        self._machine = _Machine()
        self._row = 0

    def __iter__(self) -> Iterator[Batch]:
        times = TimeReader(TimeFormat(zone=self._mapping.zone), self._lateness_ns)
        for piece in self._file.pieces():
            events: list[_Event] = []
            rows = piece.decode("utf-8", errors="replace").split("\n")
            heads = pa.array([row.partition("|")[0].partition("@")[0] for row in rows], pa.string())
            ts, good = times.read(heads)
            good &= (ts >= self._earliest_ns) & (ts < YEAR_2200_NS)
            for row, time, timed in zip(rows, ts.tolist(), good.tolist(), strict=True):
                self._row += 1
                self._read(row.rstrip("\r"), time, timed, events)
            if piece.endswith(b"\n"):
                self._row -= 1  # what split leaves behind the last line end is no line
            for block in slices(self._block(events), BLOCK_EVENTS):
                self.summary.count_events(block)
                yield block, []

    def _read(self, row: str, ts: int, timed: bool, events: list[_Event]) -> None:
        if not row.strip():
            return
        fields = row.split("|")[1:]
        if row.startswith("*") or (fields and fields[0].startswith("@")):
            self.summary.rows += 1  # a word between adapter and agent, or an asset: no observation
            self.summary.ignored += 1
        elif not timed:
            self._problem("bad_time", f"no time from {iso(self._earliest_ns)} on at the start of the row: {row[:60]}")
        elif len(fields) == _CONDITION_FIELDS and self._is_condition(fields):
            self._observe(ts, fields[0].strip(), fields[1].strip(), events, fields)
        elif len(fields) == _MESSAGE_FIELDS:
            self._observe(ts, fields[0].strip(), fields[2].strip(), events)
        elif not fields or len(fields) % 2:
            self._problem("wrong_fields", f"items and values do not pair: {row[:60]}")
        else:
            for item, value in zip(fields[::2], fields[1::2], strict=True):
                self._observe(ts, item.strip(), value.strip(), events)

    def _is_condition(self, fields: list[str]) -> bool:
        return fields[0].strip() in self._mapping.reason_items or fields[1].strip().upper() in (*_LEVELS, UNAVAILABLE)

    def _observe(
        self, ts: int, item: str, value: str, events: list[_Event], condition: list[str] | None = None
    ) -> None:
        """One observation: one event, or none."""
        self.summary.rows += 1
        machine, mapping = self._machine, self._mapping
        before, problems = len(events), sum(tally.count for tally in self.summary.problems.values())
        if item == mapping.state_item:
            self._execution(ts, value, events)
        elif item == mapping.mode_item:
            machine.mode = None if value.upper() == UNAVAILABLE else value[:MAX_TEXT] or None
            self._tell(ts, events)
        elif condition is not None and item in mapping.reason_items:
            self._condition(item, condition)
            self._tell(ts, events)
        elif item in self._counts:
            self._count(ts, self._counts[item], value, events)
        elif item in self._measures:
            self._measure(ts, self._measures[item], value, events)
        if mapping.product is not None and (item in self._pace_items or item == mapping.product.item):
            self._product(ts, item, value, mapping.product, events)
        if len(events) > before:
            machine.newest = max(machine.newest, ts)
            self.summary.told += 1
        elif sum(tally.count for tally in self.summary.problems.values()) > problems:
            self.summary.unusable += 1
        elif value.upper() != UNAVAILABLE and ts - machine.newest >= mapping.heartbeat_every_ns:
            events.append(_Event(self._row, ts, HEARTBEAT))
            machine.newest = ts
            self.summary.told += 1
        else:
            self.summary.ignored += 1

    def _execution(self, ts: int, value: str, events: list[_Event]) -> None:
        machine = self._machine
        word = UNKNOWN_WORD if value.upper() == UNAVAILABLE else self._mapping.states.get(value, value)
        code = self._states.get(word, UNKNOWN if word == UNKNOWN_WORD else None)
        if code is None:
            self._problem("unknown_state", f"state not known at this station: {value[:60]}", row=False)
            return
        if ts < machine.state_ts:
            # It arrived late: it says what was then, not what is now.
            events.append(_Event(self._row, ts, STATE, code, words=(word, None, None)))
            return
        machine.state, machine.state_code, machine.state_ts = word, code, ts
        self._tell(ts, events)

    def _condition(self, item: str, fields: list[str]) -> None:
        level, code, text = fields[1].strip().upper(), fields[2].strip(), fields[5].strip()
        active = self._machine.conditions
        if _LEVELS.get(level, 0):
            active[item, code] = (_LEVELS[level], " ".join(part for part in (code, text) if part) or item)
        elif code and level != UNAVAILABLE:
            active.pop((item, code), None)
        else:  # Normal without a code clears all of the item; UNAVAILABLE: nobody knows any more
            for key in [key for key in active if key[0] == item]:
                del active[key]

    def _tell(self, ts: int, events: list[_Event]) -> None:
        """A state event, if what it says is not what the last one said. Reason and mode wait for the first state."""
        machine = self._machine
        if machine.state is None:
            return
        reason = mode = None
        if machine.state != UNKNOWN_WORD:
            mode = machine.mode
            # The worst condition; of equal ones the first that came.
            worst = max(machine.conditions.values(), key=lambda one: one[0], default=None)
            reason = worst[1][:MAX_TEXT] if worst else None
        said = (machine.state, reason, mode)
        if said == machine.told:
            return
        machine.told = said
        # Reason and mode may arrive with a time before the state they belong to.
        machine.told_ts = max(machine.told_ts, ts)
        events.append(_Event(self._row, machine.told_ts, STATE, machine.state_code, words=said))

    def _count(self, ts: int, rule: CountRule, value: str, events: list[_Event]) -> None:
        if value.upper() == UNAVAILABLE or not value:
            return
        number = to_number(value)
        if number is None or number.denominator != 1:
            self._problem("unreadable_number", f"{rule.item} is not a whole number: {value[:60]}", row=False)
            return
        if not 0 <= number <= (self._counter_max[rule.counter] if rule.counter else INT64_MAX):
            self._problem("impossible_value", f"{rule.item} is below 0 or above what it can show: {value}", row=False)
            return
        parts = int(number)
        if rule.counter is None:
            if parts:
                good, scrap, rework = (parts if rule.quality == name else 0 for name in ("good", "scrap", "rework"))
                events.append(_Event(self._row, ts, COUNT, PARTS, (good, scrap, rework)))
        elif self._machine.counters.get(rule.counter) != parts:
            self._machine.counters[rule.counter] = parts
            events.append(_Event(self._row, ts, COUNT, COUNTER, (parts, 0, 0), (rule.counter, None, None)))

    def _measure(self, ts: int, rule: MeasureRule, value: str, events: list[_Event]) -> None:
        if value.upper() == UNAVAILABLE or stands_for_nothing(value):
            return
        numbers = _POINT.measure(value)
        if not numbers:
            self._problem("unreadable_number", f"{rule.item} is not a number: {value[:60]}", row=False)
            return
        try:
            scaled = value_of_number(self._declared[rule.measure], numbers[0] * rule.scale)
        except ValueError as error:
            self._problem("impossible_value", f"{rule.item}: {value[:60]!r} {error}", row=False)
            return
        events.append(_Event(self._row, ts, MEASURE, 0, (scaled, -1, 0), (None, rule.measure, None)))

    def _product(self, ts: int, item: str, value: str, rule: ProductRule, events: list[_Event]) -> None:
        """What is made, or what a part of it takes: together they are told, when either has changed.

        A value counts for a product that was there when it came; an earlier one may be that of the product before.
        """
        machine = self._machine
        value = "" if value.upper() == UNAVAILABLE or stands_for_nothing(value) else value
        for name, template in rule.paces.items():
            if template.column != item:
                continue
            if ts < machine.paces.get(name, (_LONG_AGO, None))[0]:
                self.summary.note(f"{self.name}: values of {item} that came behind a later one were not used")
            else:
                try:
                    machine.paces[name] = ts, say(name, value, template, _POINT) if value else None
                except UnusableError as error:
                    machine.paces[name] = ts, None
                    self._problem(error.reason, f"{item}: {error}", row=False)
        if item == rule.item and ts < machine.product_ts:
            self.summary.note(f"{self.name}: values of {item} that came behind a later one were not used")
        elif item == rule.item:
            product = value[:MAX_TEXT] or None
            if product != machine.product:
                machine.product, machine.product_ts, machine.declared = product, ts, None
        known = {name: machine.paces.get(name, (_LONG_AGO, None)) for name in rule.paces}
        constants = {name: str(one.constant) for name, one in rule.paces.items() if one.column is None}
        known |= {name: (machine.product_ts, (name, text)) for name, text in constants.items()}
        fresh = [(at, told) for at, told in known.values() if told is not None and at >= machine.product_ts]
        if machine.product is None:
            return
        try:
            said = said_of(dict(told for _, told in fresh))
        except UnusableError as error:
            self._problem(error.reason, f"{item}: {error}", row=False)
            return
        text = None if said is None else text_of(said)
        if text is not None and text != machine.declared:
            machine.declared = text
            since = max(at for at, _ in fresh)
            events.append(_Event(self._row, since, PRODUCT, words=(None, machine.product, None), entry=text))

    def _block(self, events: list[_Event]) -> EventBlock | None:
        if not events:
            return None
        words = Words()
        ts = np.array([event.ts for event in events], np.int64)
        at = np.array([event.line for event in events], np.int64)
        self._clock.check(self._line, ts, self.name, at)
        parts = np.array([event.parts for event in events], np.int64).T
        texts = np.array([[words.add(w) if w is not None else -1 for w in event.words] for event in events]).T
        return draft(
            words.list,
            at,
            ts,
            self._line,
            0,
            station=[-1 if event.type == PRODUCT and self._of_line else self._station for event in events],
            type=[event.type for event in events],
            code=[event.code for event in events],
            a=parts[0],
            b=parts[1],
            c=parts[2],
            x=texts[0],
            y=texts[1],
            z=texts[2],
            entry=[words.add(event.entry) if event.entry is not None else -1 for event in events],
        ).block

    def _problem(self, reason: str, message: str, row: bool = True) -> None:
        self.summary.rows += row
        self.summary.unusable += row
        self.summary.problem(reason, f"{self.name}:{self._row}: {message}")
